"""
Tests of `webworker_executor.child.turns`: one thing after the other on a script's main thread.
"""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

import pytest

from tests.conformance.listening import SECONDS, Ear
from webworker_executor import MessageChannel, Worker, WorkerCrashedError

if TYPE_CHECKING:
    from pathlib import Path


def told(source: str, count: int = 1, *messages: object) -> list[object]:
    """
    Run a script, post messages to it, and return so many that come back.
    """
    with Worker(source=source) as worker:
        for message in messages:
            worker.post_message(message)
        return [worker.receive(SECONDS).data for _ in range(count)]


def test_the_first_run_is_complete_before_anything_is_delivered(tmp_path: Path) -> None:
    """
    Messages, timers and ports wait for the last line of the script.
    """
    source = """
import sys
from webworker_executor import MessageChannel
channel = MessageChannel()
channel.port2.onmessage = lambda event: post_message("port")
channel.port1.post_message(1)
set_timeout(post_message, 0, "timer")
def onmessage(event): post_message("message")
with open(sys.argv[1]) as has_come:
    has_come.read()
post_message("first run")
"""
    has_come = tmp_path / "has_come"
    os.mkfifo(has_come)
    with Worker(source=source, argv=[str(has_come)]) as worker:
        worker.post_message(1)
        # Opened by the script: all that it is to hear of has come when this is closed.
        has_come.write_text("")
        came = [worker.receive(SECONDS).data for _ in range(4)]
    assert "first run" == came[0]
    assert {"message", "port", "timer"} == set(came[1:])


@pytest.mark.slow
def test_timers_and_microtasks() -> None:
    """
    A microtask comes before any timer, timers by their time; a cleared one never.
    """
    source = """
heard = []
set_timeout(heard.append, 0.05, "late")
set_timeout(heard.append, 0, "soon")
clear_timeout(set_timeout(heard.append, 0, "never"))
queue_microtask(lambda: heard.append("micro"))
set_timeout(post_message, 0.06, heard)
heard.append("script")
"""
    assert [["script", "micro", "soon", "late"]] == told(source)


def test_an_interval_ends_when_it_is_cleared() -> None:
    """
    It may clear itself; then it never comes again.
    """
    source = """
count = 0
def tick():
    global count
    count += 1
    if count == 3:
        clear_interval(ident)
        # Two steps of an interval that goes on.
        set_timeout(lambda: post_message(count), 0.003)
ident = set_interval(tick, 0.001)
"""
    assert [3] == told(source)


@pytest.mark.parametrize(
    "where",
    ["set_timeout(fail)", "queue_microtask(fail)", "report_error(ValueError('x'))"],
)
def test_errors_anywhere_are_reported(where: str) -> None:
    """
    What a timer or a microtask raises does not end the worker, and is told.
    """
    source = f"def fail(): raise ValueError('x')\n{where}\nset_timeout(post_message, 0.05, 'on')"
    with Worker(source=source) as worker:
        ear = Ear(worker)
        assert "ValueError: x" == ear.next().message
        assert "on" == ear.next().data


def test_an_error_that_was_never_raised_has_the_place_of_its_report() -> None:
    """
    As if it had been raised there.
    """
    with Worker(source="import sys\n\nreport_error(ValueError('x'))") as worker:
        event = Ear(worker).next()
        assert ("ValueError: x", 3) == (event.message, event.lineno)
        assert event.filename.startswith("<worker")
        assert event.error.__traceback__ is not None


def test_errors_of_threads() -> None:
    """
    A thread of the script may report; listeners run on the main thread all the same.
    """
    source = """
import threading
def onerror(event):
    post_message(threading.current_thread() is threading.main_thread())
    return True
threading.Thread(target=lambda: report_error(ValueError())).start()
"""
    assert [True] == told(source)


def test_what_a_task_of_asyncio_raises_and_nobody_awaits() -> None:
    """
    It is told when the task is forgotten, and not logged.
    """
    source = """
import asyncio, gc
async def fail(): raise ValueError('x')
async def main():
    task = asyncio.create_task(fail())
    await asyncio.sleep(0)
    del task
    gc.collect()
    asyncio.get_running_loop().call_soon([].remove, 1)
    await asyncio.sleep(0)
    post_message("on")
asyncio.run(main())
"""
    with Worker(source=source, stderr="pipe", launcher="spawn") as worker:
        ear = Ear(worker)
        told = [ear.next() for _ in range(3)]
        assert ["error", "error", "message"] == [event.type for event in told]
        assert ("ValueError: x", 3) == (told[0].message, told[0].lineno)
        assert "ValueError: list.remove(x): x not in list" == told[1].message
        stderr = worker.stderr
        assert stderr is not None
        worker.terminate()
        assert b"" == stderr.read()


def test_a_fork_of_a_script_logs_what_nobody_awaits() -> None:
    """
    It has no way to the program; asyncio tells it, as anywhere else.
    """
    source = """
import asyncio, gc, os
async def fail(): raise ValueError('x')
async def main():
    task = asyncio.create_task(fail())
    await asyncio.sleep(0)
    del task
    gc.collect()
pid = os.fork()
if pid == 0:
    asyncio.run(main())
    os._exit(0)
post_message(os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]))
"""
    with Worker(source=source, stderr="pipe") as worker:
        event = Ear(worker).next()
        assert ("message", 0) == (event.type, event.data)
        stderr = worker.stderr
        assert stderr is not None
        worker.terminate()
        assert b"Task exception was never retrieved" in stderr.read()


def test_a_loop_with_a_handler_of_its_own_keeps_it() -> None:
    """
    What the script has said goes before.
    """
    source = """
import asyncio, gc
async def fail(): raise ValueError('x')
async def main():
    loop = asyncio.get_running_loop()
    loop.set_exception_handler(lambda loop, context: post_message(str(context["exception"])))
    task = asyncio.create_task(fail())
    event = await scope.areceive()
    await asyncio.sleep(0)
    del task
    gc.collect()
asyncio.run(main())
"""
    assert ["x"] == told(source, 1, "on")


@pytest.mark.parametrize("rest", ["", "thread.join(); close()", "scope.receive()"])
def test_what_a_thread_does_not_catch(rest: str) -> None:
    """
    It is told like any other, whatever the main thread does meanwhile.
    """
    source = f"""
import threading
def fail(): raise ValueError('x')
thread = threading.Thread(target=fail)
thread.start()
{rest}
"""
    with Worker(source=source) as worker:
        event = Ear(worker).next()
        assert ("ValueError: x", 3) == (event.message, event.lineno)


@pytest.mark.parametrize("rest", ["", "sys.exit(0)"])
def test_a_thread_that_fails_at_the_end(rest: str) -> None:
    """
    The script's ``onerror`` hears of it, though nothing else is begun any more.
    """
    source = f"""
import sys, threading
def onerror(event):
    post_message((threading.current_thread() is threading.main_thread(), event.message))
    return True
def fail(): raise ValueError('x')
thread = threading.Thread(target=fail)
thread.start()
thread.join()
close()
{rest}
"""
    assert [(True, "ValueError: x")] == told(source)


def test_a_thread_that_ends_as_it_wants() -> None:
    """
    By ``sys.exit``, or with a hook of the script's own: nothing is told.
    """
    source = """
import sys, threading
threading.Thread(target=sys.exit).start()
threading.excepthook = lambda args: post_message(str(args.exc_value))
threading.Thread(target=lambda: [].remove(1)).start()
"""
    assert ["list.remove(x): x not in list"] == told(source)


@pytest.mark.parametrize(
    "rest",
    [
        "fail()",
        "onmessage = lambda event: fail()",
        "set_timeout(fail, 0)",
        "import threading; threading.Thread(target=fail).start()",
        "from webworker_executor import Worker; inner = Worker(source='1 / 0')",
        """
import asyncio
async def main():
    asyncio.create_task(async_fail())
    await asyncio.sleep(0)
async def async_fail(): fail()
asyncio.run(main())
""",
    ],
    ids=["top", "handler", "timer", "thread", "inner worker", "task of asyncio"],
)
def test_an_error_that_ends_the_worker(rest: str) -> None:
    """
    It is told, nothing more is begun, and the process exits with status 1.
    """
    source = f"def fail(): 1 / 0\n{rest}"
    worker = Worker(source=source, on_uncaught="exit")
    ear = Ear(worker)
    worker.post_message("first")
    worker.post_message("second")
    with pytest.raises(WorkerCrashedError, match="exited with status 1"):
        worker.lifetime.result(SECONDS)
    assert ["error", "close", "exit"] == [event.type for event in ear.to_the_end()]


def test_an_error_that_is_handled_ends_nothing() -> None:
    """
    With ``on_uncaught="exit"`` as well: the script has caught it.
    """
    source = """
def onmessage(event): 1 / event.data
def onerror(event):
    post_message(event.message)
    return True
"""
    with Worker(source=source, on_uncaught="exit") as worker:
        for _ in range(2):
            worker.post_message(0)
            assert "ZeroDivisionError: division by zero" == worker.receive(SECONDS).data


def test_handlers_that_are_bound_later() -> None:
    """
    A name that the script binds anew is the handler from then on; ``None`` is none.
    """
    source = """
def first(event):
    global onmessage
    post_message(("first", event.data))
    onmessage = second
def second(event):
    post_message(("second", event.data))
onmessage = first
"""
    assert [("first", 1), ("second", 2), ("second", 3)] == told(source, 3, 1, 2, 3)


def test_messages_that_are_pulled() -> None:
    """
    A script may wait for its messages itself, until its host asks it to leave.
    """
    source = """
for event in scope:
    post_message(event.data)
post_message("over")
import sys
sys.exit(5)
"""
    worker = Worker(source=source)
    for number in range(3):
        worker.post_message(number)
        assert number == worker.receive(SECONDS).data
    assert 5 == worker.terminate().result(SECONDS)


def test_a_wait_with_a_limit() -> None:
    """
    ``receive`` gives up in time, ``receive_nowait`` at once, and nothing is lost.
    """
    source = """
came = []
try:
    scope.receive(0.01)
except TimeoutError:
    came.append("timeout")
came.append(scope.receive_nowait())
post_message("now")
came.append(scope.receive(10).data)
post_message(came)
"""
    with Worker(source=source) as worker:
        assert "now" == worker.receive(SECONDS).data
        worker.post_message(7)
        assert ["timeout", None, 7] == worker.receive(SECONDS).data


def test_asyncio_in_a_script() -> None:
    """
    A script may run a loop of its own and await its messages.
    """
    source = """
import asyncio
async def main():
    for _ in range(2):
        event = await scope.areceive()
        post_message(event.data)
asyncio.run(main())
"""
    assert [1, 2] == told(source, 2, 1, 2)


def test_no_receive_on_another_thread() -> None:
    """
    Only the main thread reads.
    """
    source = """
import threading
def wait():
    try:
        scope.receive(1)
    except RuntimeError as error:
        post_message(str(error))
threading.Thread(target=wait).start()
"""
    (text,) = told(source)
    assert "on its main thread only" in str(text)


def test_a_message_that_does_not_unpack() -> None:
    """
    It is a ``messageerror`` where that is listened for, and else an error; the next one arrives.
    """
    source = """
def onmessage(event): post_message(event.data)
{handler}
"""
    for handler, expected in (
        ("def onmessageerror(event): post_message(type(event.error).__name__)", "message"),
        ("", "error"),
    ):
        with Worker(source=source.format(handler=handler)) as worker:
            ear = Ear(worker)
            worker.post_message(Unreadable())
            worker.post_message("next")
            assert expected == ear.next().type
            assert "next" == ear.next().data


class Unreadable:
    def __reduce__(self) -> tuple[object, tuple[str]]:
        return int, ("no number",)


def test_events_of_ports_run_on_the_main_thread() -> None:
    """
    Also those of a port that came with a message.
    """
    source = """
import threading
def relay(event):
    event.target.post_message((event.data, threading.current_thread() is threading.main_thread()))
def onmessage(event):
    event.ports[0].onmessage = relay
"""
    channel = MessageChannel()
    with Worker(source=source) as worker, channel.port1:
        worker.post_message(None, [channel.port2])
        channel.port1.post_message(1)
        assert (1, True) == channel.port1.receive(SECONDS).data


def test_an_interrupt_ends_a_script() -> None:
    """
    SIGINT is Ctrl-C, in a handler and between two.
    """
    source = "import os, signal\ndef onmessage(event): os.kill(os.getpid(), signal.SIGINT)"
    worker = Worker(source=source, stderr="devnull")
    worker.post_message(1)
    assert worker.exited.result(SECONDS) not in {0, None}


def test_a_copy_of_the_process_never_answers() -> None:
    """
    A fork that comes back from the script ends, and the worker goes on.
    """
    source = """
import os
def onmessage(event):
    pid = os.fork()
    if pid:
        os.waitpid(pid, 0)
        post_message("parent")
"""
    assert ["parent", "parent"] == told(source, 2, 1, 2)


def test_handlers_while_asyncio_runs() -> None:
    """
    A handler that is set on a running loop is called while it runs.
    """
    source = """
import asyncio
async def main():
    done = asyncio.Event()
    def answer(event):
        post_message(event.data)
        if event.data == 2:
            done.set()
    scope.onmessage = answer
    await done.wait()
asyncio.run(main())
"""
    assert [1, 2] == told(source, 2, 1, 2)


def test_a_handler_that_is_set_again_while_asyncio_runs() -> None:
    """
    What came while nobody listened waits for the next handler, and no further message is needed.
    """
    source = """
import asyncio
async def main():
    done = asyncio.Event()
    scope.onmessage = lambda event: post_message("early")
    scope.onmessage = None
    # What the first handler had the loop do comes before this turn.
    await asyncio.sleep(0)
    post_message("nobody listens")
    while not scope._inbox:
        await asyncio.sleep(0)
    def answer(event):
        post_message(event.data)
        done.set()
    scope.onmessage = answer
    await done.wait()
asyncio.run(main())
"""
    with Worker(source=source) as worker:
        assert "nobody listens" == worker.receive(SECONDS).data
        worker.post_message("x")
        assert "x" == worker.receive(SECONDS).data


@pytest.mark.parametrize(
    "listen",
    [
        "scope.onmessage = print; scope.onclose = close",
        "scope.add_event_listener('close', close)",
        "scope.onmessage = print; globals()['onclose'] = close",
        # Who looks by itself takes the news, but not from the listener.
        "scope.onclose = close; done.wait = look",
    ],
)
def test_the_end_is_heard_on_a_loop(listen: str) -> None:
    """
    The script is told once, while its loop runs, which it can leave; its last words arrive.
    """
    source = f"""
import asyncio
async def main():
    done = asyncio.Event()
    def close(event):
        worker_data.post_message((event.type, asyncio.get_running_loop().is_running()))
        done.set()
    async def look():
        while not done.is_set():
            scope.receive_nowait()
            await asyncio.sleep(0)
    {listen}
    post_message("waits")
    await done.wait()
asyncio.run(main())
"""
    channel = MessageChannel()
    with Worker(source=source, worker_data=channel.port2) as worker, channel.port1 as port:
        assert "waits" == worker.receive(SECONDS).data
        assert 0 == worker.terminate(SECONDS).result(SECONDS)
        assert [("close", True)] == [event.data for event in port]


def test_timers_on_a_loop() -> None:
    """
    They fire in their order while it runs, and not when they are cleared.
    """
    source = """
import asyncio
async def main():
    done = asyncio.Event()
    told = []
    def tick():
        told.append("tick")
        if told.count("tick") == 2:
            scope.clear_interval(interval)
            scope.set_timeout(done.set)
    scope.set_timeout(told.append, 3600.0, "never")
    scope.set_timeout(told.append, 0.02, "late")
    scope.clear_timeout(scope.set_timeout(told.append, 0.01, "cleared"))
    scope.set_timeout(told.append, 0.0, "soon")
    interval = scope.set_interval(tick, 0.03)
    await done.wait()
    post_message(told)
    scope.close()
asyncio.run(main())
"""
    assert [["soon", "late", "tick", "tick"]] == told(source)


def test_microtasks_on_a_loop() -> None:
    """
    They are called while it runs, those that they add and those of other threads, too.
    """
    source = """
import asyncio, threading
async def main():
    told = []
    done = asyncio.Event()
    def first():
        told.append("first")
        queue_microtask(lambda: told.append("second"))
        threading.Thread(target=queue_microtask, args=(done.set,)).start()
    scope.onmessage = print
    queue_microtask(first)
    told.append("main")
    await done.wait()
    post_message(told)
    scope.close()
asyncio.run(main())
"""
    assert [["main", "first", "second"]] == told(source)


@pytest.mark.parametrize("is_asked", [False, True])
def test_microtasks_at_the_end(is_asked: bool) -> None:
    """
    Those of what closes the worker are called, and those of what hears that it is to end.
    """
    source = f"""
def last(event=None):
    queue_microtask(lambda: worker_data.post_message("microtask"))
scope.onclose = last
if not {is_asked}:
    last()
    close()
post_message("ready")
"""
    channel = MessageChannel()
    with Worker(source=source, worker_data=channel.port2) as worker, channel.port1 as port:
        assert "ready" == worker.receive(SECONDS).data
        if is_asked:
            worker.terminate(SECONDS)
        assert ["microtask"] == [event.data for event in port]


def test_what_waits_can_be_received_after_close() -> None:
    """
    No listener is told of it any more, but what still runs may ask for it.
    """
    source = """
close()
post_message(scope.receive(20.0).data)
"""
    assert ["waits"] == told(source, 1, "waits")


def test_an_interval_of_no_time_leaves_a_loop_its_turn() -> None:
    """
    It is called once in a round.
    """
    source = """
import asyncio
async def main():
    ticks = []
    scope.set_interval(ticks.append, 0.0, 1)
    while len(ticks) < 3:
        await asyncio.sleep(0)
    post_message("its turn")
asyncio.run(main())
"""
    assert ["its turn"] == told(source)


def test_timers_that_were_not_set_on_the_loop() -> None:
    """
    A loop that reads for the script has those, too: of before it ran, and of other threads.
    """
    source = """
import asyncio, threading
started = []
set_timeout(started.append, 0.0, "before")
async def main():
    done = asyncio.Event()
    scope.onmessage = print
    while not started:
        await asyncio.sleep(0)
    threading.Thread(target=set_timeout, args=(done.set, 0.0)).start()
    await done.wait()
    post_message(started)
asyncio.run(main())
"""
    assert [["before"]] == told(source)


def test_timers_of_two_loops() -> None:
    """
    What was to ring on a loop that is closed by now rings on the next one, or without any.
    """
    source = """
import asyncio
async def main(name):
    set_timeout(post_message, 0.05, name)
    # Until it is to ring here.
    while scope._turns._bell is None:
        await asyncio.sleep(0)
async def wait():
    done = asyncio.Event()
    set_timeout(done.set, 0.06)
    await done.wait()
asyncio.run(main("first"))
asyncio.run(wait())
post_message("between")
asyncio.run(main("last"))
"""
    assert ["first", "between", "last"] == told(source, 3)


def test_a_wait_on_a_loop_ends_when_the_worker_is_to_leave() -> None:
    """
    As one without a loop does: the script hears of it at once, and nothing need be forced.
    """
    source = """
import asyncio
from webworker_executor import PortClosedError
async def main():
    waiting = asyncio.ensure_future(scope.areceive())
    while not scope._turns._n_attached:
        await asyncio.sleep(0)
    # What the wait had the loop do at its begin comes before this turn.
    await asyncio.sleep(0)
    post_message("waits")
    try:
        await waiting
    except PortClosedError:
        return
asyncio.run(main())
"""
    with Worker(source=source) as worker:
        assert "waits" == worker.receive(SECONDS).data
        assert 0 == worker.terminate(SECONDS).result(SECONDS)


def test_waits_on_two_loops() -> None:
    """
    A wait that is cancelled on a loop of before leaves those of the next one alone.
    """
    source = """
import asyncio
first, second = asyncio.new_event_loop(), asyncio.new_event_loop()
waiting = first.create_task(scope.areceive())
first.run_until_complete(asyncio.sleep(0))
other = second.create_task(scope.areceive())
second.run_until_complete(asyncio.sleep(0))
waiting.cancel()
first.run_until_complete(asyncio.wait([waiting]))
first.close()
for wait in (other, scope.areceive()):
    second.call_later(0.01, post_message, "waits")
    post_message(second.run_until_complete(wait).data)
second.close()
"""
    with Worker(source=source) as worker:
        for number in range(2):
            assert "waits" == worker.receive(SECONDS).data
            worker.post_message(number)
            assert number == worker.receive(SECONDS).data


def test_what_a_port_s_handler_raises() -> None:
    """
    It is reported as any error of the script, and the port goes on.
    """
    source = """
def fail(event):
    event.target.post_message(1 / event.data)
def onmessage(event):
    event.ports[0].onmessage = fail
"""
    channel = MessageChannel()
    with Worker(source=source) as worker, channel.port1:
        ear = Ear(worker)
        worker.post_message(None, [channel.port2])
        channel.port1.post_message(0)
        assert "ZeroDivisionError: division by zero" == ear.next().message
        channel.port1.post_message(2)
        assert 0.5 == channel.port1.receive(SECONDS).data
