"""
Tests of `webworker_executor.web.port`: states, waiting in threads and on loops, forks, the end.
"""

from __future__ import annotations

import asyncio
import itertools
import os
import queue
import threading
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from tests.conformance import holders
from tests.link.inbox import Inbox
from tests.link.interrupts import interrupted_at
from tests.patience import wait_until
from tests.threads import struck
from webworker_executor import (
    InvalidStateError,
    MessageChannel,
    MessageEvent,
    MessagePort,
    PortClosedError,
    WebWorkerExecutor,
)
from webworker_executor.web import dispatch
from webworker_executor.web.host import host
from webworker_executor.web.port import is_held_by_ports
from webworker_executor.web.port_link import HELD_NBYTES

if TYPE_CHECKING:
    from tests.script import ScriptRunner
    from webworker_executor.web.launchers import LauncherName

LIMIT = 10.0


def test_a_port_is_not_made_by_hand() -> None:
    """Calling the class says where ports come from."""
    with pytest.raises(TypeError, match="MessageChannel"):
        MessagePort()


def test_a_port_may_be_waited_on_for_a_month(channel: MessageChannel) -> None:
    """The kernel cannot wait that long at a time, which is no concern of the caller's."""
    channel.port1.post_message("at once")
    assert "at once" == channel.port2.receive(31 * 86400.0).data


def test_a_port_tells_its_state(channel: MessageChannel) -> None:
    """Its repr names the state, and what waits."""
    assert "<MessagePort open waiting=0>" == repr(channel.port1)
    channel.port1.start()
    assert "<MessagePort open started waiting=0>" == repr(channel.port1)
    channel.port1.close()
    assert "<MessagePort closed started waiting=0>" == repr(channel.port1)
    assert repr(channel.port1) in repr(channel)


def test_unstarted_ports_need_no_thread(channel: MessageChannel) -> None:
    """Posting and receiving start nothing in the background."""
    before = threading.active_count()
    channel.port1.post_message("x")
    assert "x" == channel.port2.receive(LIMIT).data
    assert before == threading.active_count()


def test_receive_waits_in_its_own_thread(channel: MessageChannel) -> None:
    """A thread that waits is woken by a message that comes later."""
    got: Inbox[Any] = Inbox()
    thread = threading.Thread(target=lambda: got(channel.port2.receive().data))
    thread.start()
    while "reader" not in channel.port2._claims:
        pass
    channel.port1.post_message("late")
    assert "late" == got.get()
    thread.join(LIMIT)


def test_several_threads_may_wait(channel: MessageChannel) -> None:
    """Each message goes to one of the threads that wait, and each of them gets one."""
    got: Inbox[int] = Inbox()
    threads = [
        threading.Thread(target=lambda: got(channel.port2.receive(LIMIT).data)) for _ in range(5)
    ]
    for thread in threads:
        thread.start()
    for number in range(5):
        channel.port1.post_message(number)
    assert list(range(5)) == sorted(got.take(5))
    for thread in threads:
        thread.join(LIMIT)


def test_a_receive_that_is_too_late(channel: MessageChannel) -> None:
    """Without a message in time it is a TimeoutError; no time at all takes what is there."""
    with pytest.raises(TimeoutError, match=r"no message came to <MessagePort open.*> in 0\.01 s"):
        channel.port2.receive(0.01)
    channel.port1.post_message("there")
    assert "there" == channel.port2.receive(0).data
    with pytest.raises(TimeoutError):
        channel.port2.receive(0)


def test_close_wakes_a_thread_that_waits(channel: MessageChannel) -> None:
    """A local close ends a receive() of another thread."""
    errors: Inbox[BaseException] = Inbox()

    def wait() -> None:
        try:
            channel.port2.receive()
        except PortClosedError as error:
            errors(error)

    thread = threading.Thread(target=wait)
    thread.start()
    while "reader" not in channel.port2._claims:
        pass
    channel.port2.close()
    assert "was closed on this side" in str(errors.get())
    thread.join(LIMIT)


def test_what_has_listeners_is_not_pulled(channel: MessageChannel) -> None:
    """A started port refuses receive(): its messages go to the listeners."""
    channel.port2.onmessage = lambda event: None
    for call in (channel.port2.receive, channel.port2.receive_nowait):
        with pytest.raises(InvalidStateError, match="either listen, or receive"):
            call()


def test_a_port_started_while_a_thread_waits(channel: MessageChannel) -> None:
    """Each message goes to the thread that waits or to the listeners; the thread ends."""
    got: Inbox[Any] = Inbox()

    def pull() -> None:
        try:
            got(channel.port2.receive().data)
        except InvalidStateError:
            pass

    thread = threading.Thread(target=pull)
    thread.start()
    while "reader" not in channel.port2._claims:
        pass
    channel.port2.onmessage = lambda event: got(event.data)
    for number in range(5):
        channel.port1.post_message(number)
    assert list(range(5)) == sorted(got.take(5))
    thread.join(LIMIT)
    assert not thread.is_alive()


def test_receiving_on_a_loop_uses_no_thread(channel: MessageChannel) -> None:
    """areceive() and ``async for`` read on the loop itself, until the other side closes."""

    async def main() -> list[Any]:
        before = threading.active_count()
        waiting = asyncio.ensure_future(channel.port2.areceive())
        await asyncio.sleep(0)
        channel.port1.post_message("a")
        first = (await waiting).data
        for number in range(3):
            channel.port1.post_message(number)
        channel.port1.close()
        rest = [event.data async for event in channel.port2]
        assert before == threading.active_count()
        return [first, *rest]

    assert ["a", 0, 1, 2] == asyncio.run(main())


def test_a_port_that_was_closed_leaves_nothing_on_the_loop() -> None:
    """The next port with the same descriptor is read, though another was awaited by it before."""

    async def main() -> tuple[int, Any]:
        with MessageChannel() as first:
            assert first.port1._link is not None
            number = first.port1._link.fileno()
            waiting = asyncio.ensure_future(first.port1.areceive())
            await asyncio.sleep(0)
            first.port2.close()
            with pytest.raises(PortClosedError):
                await waiting
        with MessageChannel() as second:
            near, far = second.port1, second.port2
            assert near._link is not None
            reused = near._link.fileno()
            waiting = asyncio.ensure_future(near.areceive())
            await asyncio.sleep(0)
            far.post_message("x")
            return number - reused, (await asyncio.wait_for(waiting, LIMIT)).data

    assert (0, "x") == asyncio.run(main())


def test_a_cancelled_areceive_loses_nothing(channel: MessageChannel) -> None:
    """A wait that was cancelled leaves the message to the next one."""

    async def main() -> Any:
        waiting = asyncio.ensure_future(channel.port2.areceive())
        await asyncio.sleep(0)
        channel.port1.post_message("x")
        waiting.cancel()
        with pytest.raises(asyncio.CancelledError):
            await waiting
        return (await channel.port2.areceive()).data

    assert "x" == asyncio.run(main())


def test_handlers_run_on_the_loop_they_were_set_on(channel: MessageChannel) -> None:
    """A handler that was set on an asyncio loop is called there."""

    async def main() -> tuple[Any, bool]:
        loop, came = asyncio.get_running_loop(), asyncio.Event()
        events: list[tuple[Any, bool]] = []

        def take(event: MessageEvent) -> None:
            events.append((event.data, asyncio.get_running_loop() is loop))
            came.set()

        channel.port2.onmessage = take
        channel.port1.post_message("x")
        await asyncio.wait_for(came.wait(), LIMIT)
        return events[0]

    assert ("x", True) == asyncio.run(main())


def test_handlers_run_where_a_worker_says(channel: MessageChannel) -> None:
    """What is installed as the worker's own place gets every call, and makes it later."""
    calls: Inbox[Any] = Inbox()
    got: Inbox[Any] = Inbox()
    dispatch.install(calls)
    try:
        channel.port2.onmessage = lambda event: got((event.data, threading.get_ident()))
        channel.port1.post_message("x")
        call = calls.get()
        assert got.is_empty
        call()
        assert ("x", threading.get_ident()) == got.get()
    finally:
        dispatch.install(None)


def test_a_slow_handler_holds_up_no_other_port(channel: MessageChannel) -> None:
    """While one port's handler takes its time, another port's messages are delivered."""
    release, got = threading.Event(), Inbox[Any]()
    with MessageChannel() as other:
        channel.port2.onmessage = lambda event: release.wait(LIMIT)
        other.port2.onmessage = lambda event: got(event.data)
        channel.port1.post_message("slow")
        other.port1.post_message("quick")
        assert "quick" == got.get()
        release.set()


def test_one_port_has_one_handler_at_a_time(channel: MessageChannel) -> None:
    """However long a handler takes, the next message of its port waits for it."""
    inside: list[int] = []
    got: Inbox[tuple[int, int]] = Inbox()
    release = threading.Event()

    def take(event: MessageEvent) -> None:
        inside.append(event.data)
        if event.data == 0:
            release.wait(LIMIT)
        got((event.data, len(inside)))
        inside.remove(event.data)

    with MessageChannel() as other:
        channel.port2.onmessage = take
        # By a thread that has taken over, after all that came before it.
        other.port2.onmessage = lambda event: release.set()
        for number in range(3):
            channel.port1.post_message(number)
        wait_until(lambda: "waiting=2" in repr(channel.port2))
        other.port1.post_message("go on")
        assert [(0, 1), (1, 1), (2, 1)] == got.take(3)


def test_a_handler_that_raises_is_reported_and_the_next_message_arrives(
    channel: MessageChannel, caplog: pytest.LogCaptureFixture
) -> None:
    """An exception of a listener is logged, and delivery goes on."""
    got: Inbox[Any] = Inbox()

    def take(event: MessageEvent) -> None:
        got(event.data)
        if event.data == 0:
            raise ValueError("of a listener")

    channel.port2.onmessage = take
    channel.port1.post_message(0)
    channel.port1.post_message(1)
    assert [0, 1] == got.take(2)
    assert "of a listener" in caplog.text


def test_a_slow_handler_costs_the_writer_what_it_can_see(channel: MessageChannel) -> None:
    """Beyond some messages that wait for a handler the port reads no more, and then goes on."""
    may_go_on = threading.Event()
    heard: Inbox[int] = Inbox()

    def handle(event: MessageEvent) -> None:
        may_go_on.wait(LIMIT)
        heard(event.data[0])

    channel.port2.onmessage = handle
    for number in range(3000):
        channel.port1.post_message((number, bytes(10_000)))
    link = channel.port2._link
    assert link is not None
    # The reactor's thread has it in hand.
    wait_until(lambda: link.is_full)
    held = sum(len(frame.payload) for frame in tuple(channel.port2._inbox))
    assert held < 2 * HELD_NBYTES
    # What is on its way through the kernel when the port is full comes to rest there.
    amounts = [-1]

    def has_come_to_rest() -> bool:
        with pytest.raises(TimeoutError):
            channel.port1.drain(0.05)
        amounts.append(channel.port1.buffered_amount)
        return amounts[-2] == amounts[-1]

    wait_until(has_come_to_rest)
    assert amounts[-1] > 20_000_000
    may_go_on.set()
    channel.port1.drain(LIMIT)
    assert list(range(3000)) == heard.take(3000)


def test_a_full_port_that_closes_lets_the_writer_go(channel: MessageChannel) -> None:
    """Whoever closes in the midst of too much leaves nobody waiting."""
    is_closed = threading.Event()

    def handle(event: MessageEvent) -> None:
        channel.port2.close()
        is_closed.set()

    for _ in range(1000):
        channel.port1.post_message(bytes(10_000))
    channel.port2.onmessage = handle
    assert is_closed.wait(LIMIT)
    channel.port1.drain(LIMIT)
    with pytest.raises(PortClosedError):
        channel.port1.receive(LIMIT)


def test_drain_waits_until_the_kernel_has_it_all(channel: MessageChannel) -> None:
    """With nobody reading it times out and loses nothing; a reader lets it return."""
    for _ in range(100):
        channel.port1.post_message(bytes(10_000))
    with pytest.raises(TimeoutError, match="bytes still wait"):
        channel.port1.drain(0.01)
    reader = threading.Thread(target=lambda: [channel.port2.receive(LIMIT) for _ in range(100)])
    reader.start()
    channel.port1.drain(LIMIT)
    assert 0 == channel.port1.buffered_amount
    reader.join(LIMIT)


def test_drain_ends_with_the_other_side(channel: MessageChannel) -> None:
    """Nobody waits for a reader that is gone."""
    for _ in range(100):
        channel.port1.post_message(bytes(10_000))
    channel.port2.close()
    channel.port1.drain(LIMIT)
    assert 0 == channel.port1.buffered_amount


def test_an_unstarted_port_hangs_up_quietly(channel: MessageChannel) -> None:
    """A port that only writes, and whose other side goes, keeps what it has not read."""
    channel.port2.post_message("kept")
    for _ in range(100):
        channel.port1.post_message(bytes(10_000))
    channel.port2.close()
    channel.port1.drain(LIMIT)
    assert "kept" == channel.port1.receive(LIMIT).data
    with pytest.raises(PortClosedError):
        channel.port1.receive(LIMIT)


def test_a_port_in_a_forked_copy_is_the_parents(channel: MessageChannel) -> None:
    """In a forked child a port is closed and says whose it is; the parent's works on."""
    reading, writing = os.pipe()
    pid = os.fork()
    if pid == 0:
        try:
            texts = []
            for call in (channel.port1.receive, lambda: channel.port1.post_message("x")):
                try:
                    call()
                except (PortClosedError, InvalidStateError) as error:
                    texts.append(str(error))
            os.write(writing, repr((texts, channel.port1.closed)).encode())
        finally:
            os._exit(0)
    os.close(writing)
    with os.fdopen(reading) as file:
        text = file.read()
    os.waitpid(pid, 0)
    assert 2 == text.count("belongs to the process that this one was forked from")
    assert text.endswith("True)")
    channel.port2.post_message("parent")
    assert "parent" == channel.port1.receive(LIMIT).data


def test_a_listening_port_holds_a_script_worker_unless_it_is_unreffed(
    channel: MessageChannel,
) -> None:
    """The flag that the loop of a script worker asks for follows start, listeners, unref, close."""
    assert (False, True) == (is_held_by_ports(), channel.port1.has_ref())
    channel.port1.start()
    assert not is_held_by_ports()
    channel.port1.onmessage = print
    assert is_held_by_ports()
    channel.port1.unref()
    assert (False, False) == (is_held_by_ports(), channel.port1.has_ref())
    channel.port1.ref()
    assert is_held_by_ports()
    channel.port1.close()
    assert not is_held_by_ports()


def test_a_listening_port_does_not_keep_the_program_and_loses_nothing(
    run_script: ScriptRunner,
) -> None:
    """A program with a started port ends; what it had posted is read by the other end."""
    done = run_script(
        """
from webworker_executor import MessageChannel
channel = MessageChannel()
channel.port1.onmessage = print
for number in range(3):
    channel.port2.post_message(number)
print("end")
"""
    )
    assert 0 == done.returncode
    assert "" == done.stderr
    assert "end" in done.stdout


def test_what_was_posted_last_is_written_before_the_program_ends(run_script: ScriptRunner) -> None:
    """A mebibyte that the kernel has not taken is written while the program ends."""
    done = run_script(
        """
import sys
from webworker_executor import MessageChannel, WebWorkerExecutor

def count(port):
    return sum(len(event.data) for event in port)

if __name__ == "__main__":
    with WebWorkerExecutor(1) as executor:
        channel = MessageChannel()
        future = executor.submit(count, channel.port2)
        for _ in range(100):
            channel.port1.post_message(bytes(10_000))
        channel.port1.close()
        print(future.result(10))
"""
    )
    assert ("", "1000000\n") == (done.stderr, done.stdout)


@pytest.mark.parametrize("launcher_name", ["spawn", "fork", "zygote"])
def test_ports_are_arguments_and_results_of_tasks(launcher_name: LauncherName) -> None:
    """A port moves into a task and out of it without being listed anywhere."""
    with WebWorkerExecutor(1, launcher=launcher_name) as executor, MessageChannel() as channel:
        port = executor.submit(holders.pass_on, channel.port2, "from there").result(LIMIT)
        assert channel.port2.detached
        channel.port1.post_message("to here")
        assert "to here" == port.receive(LIMIT).data
        assert "from there" == channel.port1.receive(LIMIT).data
        port.close()


def test_an_interrupt_while_waiting_loses_nothing(channel: MessageChannel) -> None:
    """A signal handler that raises out of receive() leaves the message to the next one."""

    class Alarm(Exception):
        pass

    with pytest.raises(Alarm), struck(Alarm, lambda _: "reader" in channel.port2._claims):
        channel.port2.receive(LIMIT)
    channel.port1.post_message("x")
    assert "x" == channel.port2.receive(LIMIT).data


RAISING = """
import signal, sys, threading
# What a post that fails would import. In the import's own finalizers Python swallows what a handler
# raises.
import webworker_executor.errors, webworker_executor.web.culprit
from webworker_executor import MessageChannel

class Stop(Exception):
    pass

def handler(_, frame):
    global may_raise
    # Where a thread that has ended is taken out of its list, Python swallows what is raised, also
    # by a second handler that has come into the first one there.
    while may_raise and frame is not None:
        if frame.f_code.co_filename.endswith("_weakrefset.py"):
            return
        frame = frame.f_back
    if may_raise:
        # Once for each time that the program stands where it can catch it.
        may_raise = False
        raise Stop

channel = MessageChannel()
may_raise = False
signal.signal(signal.SIGALRM, handler)
# Often, but not so often that nothing else is ever done.
signal.setitimer(signal.ITIMER_REAL, 0.003, 0.0037)
count, size = int(sys.argv[2]), int(sys.argv[1])
got = []
"""

SIGNALLED = """
reader = None
def write():
    for number in range(count):
        channel.port1.post_message((number, bytes(size)))
    channel.port1.close()
writer = threading.Thread(target=write)
writer.start()
n_stops = 0
while True:
    try:
        may_raise = True
        event = channel.port2.receive()
        may_raise = False
        got.append(event.data[0])
    except Stop:
        n_stops += 1
    except ConnectionError:
        may_raise = False
        break
signal.setitimer(signal.ITIMER_REAL, 0)
writer.join()
missing = count - len(got)
assert got == sorted(got), "reordered"
assert missing <= n_stops, (missing, n_stops)
print("ok", n_stops > 0)
"""


@pytest.mark.slow
@pytest.mark.parametrize(("size", "count"), [(10, 30_000), (3_000, 10_000), (100_000, 500)])
def test_handlers_that_raise_never_break_the_stream(
    run_script: ScriptRunner, size: int, count: int
) -> None:
    """
    However often receive() is interrupted, what comes is whole and in order.

    What one interrupt can cost is the one message that was just about to be returned.
    """
    done = run_script(RAISING + SIGNALLED, str(size), str(count))
    assert "" == done.stderr
    assert "ok True\n" == done.stdout


POSTING = """
def read():
    for event in channel.port2:
        got.append(event.data[0])
        assert len(event.data[1]) == size
reader = threading.Thread(target=read)
reader.start()
posted = []
n_stops = 0
for number in range(count):
    try:
        may_raise = True
        channel.port1.post_message((number, bytes(size)))
        may_raise = False
        posted.append(number)
    except Stop:
        n_stops += 1
signal.setitimer(signal.ITIMER_REAL, 0)
channel.port1.close()
reader.join(20)
assert got == sorted(set(got)), "reordered or twice"
assert set(posted) <= set(got), "lost"
print("ok", n_stops > 0)
"""


@pytest.mark.slow
@pytest.mark.parametrize(("size", "count"), [(10, 30_000), (3_000, 10_000), (100_000, 500)])
def test_posts_that_are_interrupted_never_break_the_stream(
    run_script: ScriptRunner, size: int, count: int
) -> None:
    """
    What was posted arrives once and in order, however often a post is interrupted.
    """
    done = run_script(RAISING + POSTING, str(size), str(count))
    assert "" == done.stderr
    assert "ok True\n" == done.stdout


def test_a_wait_that_is_broken_off_anywhere_leaves_the_port_to_others() -> None:
    """Wherever a signal handler raises, another thread reads afterwards."""

    def stop() -> None:
        raise ZeroDivisionError

    for step in itertools.count():
        with MessageChannel() as channel:
            port, got = channel.port2, Inbox[Any]()
            try:
                with interrupted_at(step, stop):
                    port.receive(0.0)
            except ZeroDivisionError:
                pass
            except TimeoutError:
                # So many steps has a wait.
                assert step > 10
                break
            thread = threading.Thread(
                target=lambda port, got: got(port.receive(LIMIT).data), args=(port, got)
            )
            thread.start()
            channel.port1.post_message(step)
            assert step == got.get(LIMIT)
            thread.join()


READING_WITHIN = """
import os, signal, threading
from tests.link.interrupts import interrupted_at
from tests.patience import wait_until
from webworker_executor import MessageChannel
from webworker_executor.launch.procfs import state_of

def handle(*_):
    channel.port1.post_message("first")
    channel.port1.post_message("second")
    # More than this takes is read.
    got.append(channel.port2.receive_nowait().data)

def strike():
    wait_until(lambda: state_of(os.getpid()) == "S")
    os.kill(os.getpid(), signal.SIGUSR2)

signal.signal(signal.SIGUSR2, handle)
for _ in range(2):
    channel, got = MessageChannel(), []
    striker = threading.Thread(target=strike)
    striker.start()
    got.append(channel.port2.receive().data)
    striker.join()
    assert ["first", "second"] == got, got
    assert os.get_blocking(channel.port2._link.fileno())

for step in range(STEPS):
    channel, got = MessageChannel(), []
    with interrupted_at(step, handle):
        got.append(channel.port2.receive().data)
    assert ["first", "second"] == got, (step, got)
print("ok")
"""


def test_a_handler_that_reads_within_a_wait_leaves_the_rest_to_it(
    run_script: ScriptRunner,
) -> None:
    """What it has read and not taken ends the wait, which the socket would tell nothing of."""
    # As many steps as there are before the wait itself.
    done = run_script(READING_WITHIN.replace("STEPS", "8"), timeout=10)
    assert ("", "ok\n") == (done.stderr, done.stdout)


def test_closing_frees_everything_at_once() -> None:
    """A thousand channels leave no descriptor and no thread."""
    before = len(list(Path("/proc/self/fd").iterdir()))
    for _ in range(1000):
        with MessageChannel() as channel:
            channel.port1.post_message("x")
    assert before == len(list(Path("/proc/self/fd").iterdir()))


def test_a_port_that_nobody_reads_tells_of_its_end() -> None:
    """
    To who listens for nothing else; and it may move meanwhile.
    """
    with MessageChannel() as channel, MessageChannel() as other:
        told: Inbox[str] = Inbox()
        port = channel.port2
        port.onclose = lambda event: told("old")
        other.port1.post_message(None, [port])
        moved = other.port2.receive(LIMIT).ports[0]
        moved.onclose = lambda event: told(event.type)
        channel.port1.close()
        assert "close" == told.get()
        assert moved.closed
        assert told.is_empty


def test_the_end_of_a_port_that_nobody_reads_comes_behind_what_was_left() -> None:
    """
    Whoever receives that hears of it.
    """
    with MessageChannel() as channel:
        told: Inbox[str] = Inbox()
        channel.port2.onclose = lambda event: told(event.type)
        channel.port1.post_message("left behind")
        channel.port1.close()
        with pytest.raises(queue.Empty):
            told.get(timeout=0.1)
        assert "left behind" == channel.port2.receive(LIMIT).data
        with pytest.raises(PortClosedError):
            channel.port2.receive(LIMIT)
        assert "close" == told.get()


@pytest.mark.parametrize("state", ["idle", "watched", "full"])
def test_no_handler_comes_between_while_a_port_is_dropped(state: str) -> None:
    """
    What it raised would be swallowed, and the port stay; what was posted arrives all the same.
    """
    struck: list[bool] = []
    channel = MessageChannel()
    far, ports = channel.port1, [channel.port2]
    del channel
    if state == "watched":
        ports[0].onclose = bool
    elif state == "full":
        for _ in range(50):
            ports[0].post_message(bytes(100_000))
        assert ports[0].buffered_amount
    with interrupted_at(0, lambda: struck.append(True)):
        ports.clear()
    if state == "full":
        assert [bytes(100_000)] * 50 == [far.receive(20.0).data for _ in range(50)]
    with pytest.raises(PortClosedError):
        far.receive(20.0)
    assert not struck
    wait_until(lambda: not host._users)
