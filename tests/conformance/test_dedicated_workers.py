"""
What the Web and its relatives promise of dedicated workers; the numbers are those of the catalogue.
"""

from __future__ import annotations

import json
import mmap
import os
import queue
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from tests.conformance.listening import SECONDS, Ear
from tests.patience import wait_until
from webworker_executor import (
    DataCloneError,
    ErrorEvent,
    Event,
    NetworkError,
    ProtocolError,
    Worker,
    WorkerCrashedError,
    WorkerLoadError,
)

if TYPE_CHECKING:
    from tests.script import ScriptRunner
    from webworker_executor.web.launchers import LauncherName

# A process takes a tenth of a second to start and to end.
pytestmark = pytest.mark.slow

ECHO = """
def onmessage(event):
    post_message(event.data)
"""


# Ready, and a message of two bytes; then it waits for the end of its input.
SPEAKS_RAW = "printf '\\1\\0\\0\\0\\2up' >&3; cat <&3"


def types_of(events: list[Event]) -> list[str]:
    return [event.type for event in events]


def test_case_55_nothing_to_run() -> None:
    """
    A worker without a script is a mistake at the call.
    """
    with pytest.raises(TypeError, match="0 were given"):
        Worker()


def test_case_55_missing_script(tmp_path: Path) -> None:
    """
    A path that leads nowhere raises nothing at construction: a plain event, and ``ready`` fails.
    """
    worker = Worker(tmp_path / "missing.py")
    events = Ear(worker).to_the_end()
    assert ["error", "close", "exit"] == types_of(events)
    assert Event is type(events[0])
    with pytest.raises(WorkerLoadError, match=r"missing\.py") as failure:
        worker.ready.result(SECONDS)
    assert isinstance(failure.value.__cause__, FileNotFoundError)


def test_case_56_syntax_error(tmp_path: Path) -> None:
    """
    What is no Python is a load error: a plain event, no message handled, a status other than 0.
    """
    script = tmp_path / "broken.py"
    script.write_text("def onmessage(event): post_message(1)\nx = (\n")
    worker = Worker(script)
    ear = Ear(worker)
    worker.post_message("too late")
    events = ear.to_the_end()
    assert ["error", "close", "exit"] == types_of(events)
    assert Event is type(events[0])
    assert events[-1].code not in {0, None}
    with pytest.raises(WorkerLoadError) as failure:
        worker.ready.result(SECONDS)
    assert isinstance(failure.value.__cause__, SyntaxError)


@pytest.mark.parametrize(
    "script", [{"source": "post_message(b'up')"}, {"command": ["sh", "-c", SPEAKS_RAW]}]
)
def test_it_is_online_before_its_first_message(script: dict[str, Any]) -> None:
    """
    Node.js's ``online``, of scripts and of other programs; a late listener hears it, too.
    """
    with Worker(**script) as worker:
        heard: queue.SimpleQueue[Event] = queue.SimpleQueue()
        worker.ononline = worker.onmessage = heard.put
        assert ["online", "message"] == [heard.get(timeout=SECONDS).type for _ in range(2)]
        assert worker.ready.done()
    with Worker(**script) as worker:
        worker.ready.result(SECONDS)
        worker.ononline = heard.put
        assert "online" == heard.get(timeout=SECONDS).type


def test_case_58_a_failing_first_run_does_not_end_the_worker() -> None:
    """
    The handler that was set before the script raised still answers.
    """
    with Worker(source=f"{ECHO}\nraise ValueError('at the top')") as worker:
        ear = Ear(worker)
        worker.post_message("still there")
        assert "ValueError: at the top" == ear.next().message
        assert "still there" == ear.next().data


def test_case_59_what_an_error_event_tells(tmp_path: Path) -> None:
    """
    Type, text, file, line and column of the raise, and the exception with its traceback.
    """
    script = tmp_path / "failing.py"
    script.write_text("\n\ndef fail():\n    raise LookupError('nothing here')\n\nfail()\n")
    with Worker(script) as worker:
        event = Ear(worker).next()
        assert isinstance(event, ErrorEvent)
        assert ("error", True) == (event.type, event.cancelable)
        assert "LookupError: nothing here" == event.message
        assert (str(script), 4, 5) == (event.filename, event.lineno, event.colno)
        assert isinstance(event.error, LookupError)
        assert ("nothing here",) == event.error.args
        frames = event.traceback.splitlines()
        assert f'  File "{script}", line 6, in <module>' == frames[1]
        assert "Traceback (most recent call last):" == frames[0]


@pytest.mark.parametrize(
    ("statement", "kind"),
    [
        ("import_scripts('missing.py')", NetworkError),
        ("post_message(i for i in ())", DataCloneError),
        ("set_timeout('no function')", TypeError),
        ("import missing_module_of_case_59", ModuleNotFoundError),
    ],
)
def test_case_59_the_line_is_the_script_s_own(
    tmp_path: Path, statement: str, kind: type[Exception]
) -> None:
    """
    What a call of the package has raised stands where the script made the call.
    """
    script = tmp_path / "failing.py"
    script.write_text(f"\n\n{statement}\n")
    with Worker(script) as worker:
        event = Ear(worker).next()
        assert isinstance(event.error, kind)
        assert (str(script), 3, 1) == (event.filename, event.lineno, event.colno)


def test_case_59_a_syntax_error_of_an_imported_script(tmp_path: Path) -> None:
    """
    It stands where the imported file is no Python.
    """
    imported = tmp_path / "imported.py"
    imported.write_text("x = 1\ny = (\n")
    script = tmp_path / "failing.py"
    script.write_text("\nimport_scripts('imported.py')\n")
    with Worker(script) as worker:
        event = Ear(worker).next()
        assert (str(imported), 2, 5) == (event.filename, event.lineno, event.colno)
        assert f'File "{script}", line 2' in event.traceback


@pytest.mark.parametrize(
    ("handler", "is_reported"),
    [
        ("def onerror(event): return True", False),
        ("def onerror(event): event.prevent_default()", False),
        ("def onerror(event): return False", True),
        ("def onerror(event): return None", True),
        ("onerror = None", True),
    ],
)
def test_case_61_the_worker_hears_first(handler: str, is_reported: bool) -> None:
    """
    What the worker's own ``onerror`` has handled does not reach whoever made it.
    """
    with Worker(source=f"{handler}\ndef onmessage(event): post_message(event.data)\n1/0") as worker:
        ear = Ear(worker)
        worker.post_message("end")
        expected = ["error", "message"] if is_reported else ["message"]
        assert expected == types_of([ear.next() for _ in expected])


def test_case_62_an_onerror_that_fails() -> None:
    """
    Both errors reach whoever made the worker, once each.
    """
    source = f"""
{ECHO}
def onerror(event):
    raise KeyError("second")
raise ValueError("first")
"""
    with Worker(source=source) as worker:
        ear = Ear(worker)
        worker.post_message("end")
        assert ["ValueError: first", "KeyError: 'second'"] == [ear.next().message for _ in range(2)]
        assert "end" == ear.next().data


NESTED_ERROR = """
from webworker_executor import Worker
inner = Worker(source="raise ValueError('deep')")
def relay(event):
    post_message("heard")
    {prevent}
inner.onerror = relay
"""


def test_case_64_errors_rise_to_the_grandparent() -> None:
    """
    What a worker's maker does not handle goes on to the maker's maker, with the first's place.
    """
    with Worker(source=NESTED_ERROR.format(prevent="")) as worker:
        ear = Ear(worker)
        assert "heard" == ear.next().data
        event = ear.next()
        assert "ValueError: deep" == event.message
        assert ("deep",) == event.error.args
        assert event.filename.startswith("<worker:")


def test_case_64_handled_errors_stop() -> None:
    """
    What a worker's maker handles goes no further.
    """
    source = NESTED_ERROR.format(prevent="event.prevent_default()") + ECHO
    with Worker(source=source) as worker:
        ear = Ear(worker)
        assert "heard" == ear.next().data
        worker.post_message("end")
        assert "end" == ear.next().data


def test_case_65_workers_survive_each_error() -> None:
    """
    Two failing handlers in each of four workers: every message is still handled.
    """
    source = """
def fail(event): raise ValueError(event.data)
add_event_listener("message", fail)
add_event_listener("message", lambda event: fail(event))
add_event_listener("message", lambda event: post_message(event.data))
"""
    workers = [Worker(source=source) for _ in range(4)]
    ears = [Ear(worker) for worker in workers]
    for number in range(3):
        for worker in workers:
            worker.post_message(number)
    for worker, ear in zip(workers, ears, strict=True):
        events = [ear.next() for _ in range(9)]
        assert [0, 1, 2] == [event.data for event in events if event.type == "message"]
        assert 6 == types_of(events).count("error")
        assert 0 == worker.terminate().result(SECONDS)


def test_case_67_close_at_the_top() -> None:
    """
    A worker that closes itself in its first run handles no message, and fails not.
    """
    worker = Worker(source="def onmessage(event): post_message(1)\nclose()")
    ear = Ear(worker)
    worker.post_message(1)
    events = ear.to_the_end()
    assert ["close", "exit"] == types_of(events)
    assert 0 == events[-1].code


def test_case_68_close_and_raise() -> None:
    """
    An error in the task that closed the worker is still told.
    """
    worker = Worker(source="def onmessage(event):\n    close()\n    raise ValueError('last')")
    ear = Ear(worker)
    worker.post_message(1)
    events = ear.to_the_end()
    assert ["error", "close", "exit"] == types_of(events)
    assert "ValueError: last" == events[0].message
    assert None is worker.lifetime.result(SECONDS)


def test_case_68_what_was_posted_after_close_arrives() -> None:
    """
    Messages that are posted in the task that closed the worker are still sent.
    """
    worker = Worker(source="close()\npost_message('after')")
    events = Ear(worker).to_the_end()
    assert ["message", "close", "exit"] == types_of(events)
    assert "after" == events[0].data


def test_case_70_posting_to_a_closed_worker() -> None:
    """
    It is silent, and the worker's exit is told once.
    """
    worker = Worker(source="close()")
    ear = Ear(worker)
    assert ["close", "exit"] == types_of(ear.to_the_end())
    worker.post_message("to nobody")
    assert [] == ear.now()


def test_case_71_a_channel_made_after_close() -> None:
    """
    Posting on it does not raise, and its messages are never dispatched.
    """
    source = """
from webworker_executor import MessageChannel
close()
channel = MessageChannel()
channel.port2.onmessage = lambda event: post_message("dispatched")
channel.port1.post_message(1)
post_message("done")
"""
    worker = Worker(source=source)
    events = Ear(worker).to_the_end()
    assert ["message", "close", "exit"] == types_of(events)
    assert "done" == events[0].data


def test_case_73_nothing_comes_after_terminate() -> None:
    """
    Of a worker that floods, no message is dispatched once ``terminate`` has returned.
    """
    worker = Worker(source="while True: post_message(1)")
    ear = Ear(worker)
    ear.data(10)
    done = worker.terminate(0.0)
    # A message that was being told when it returned, and the exit already, if that was quick.
    told = types_of(ear.now())
    assert -signal.SIGKILL == done.result(SECONDS)
    rest = [] if "exit" in told else types_of(ear.to_the_end())
    assert ["exit"] == rest or (["exit"] == told[-1:] and told.count("exit") == 1)


BUSY = {
    "handler": "def onmessage(event):\n    post_message('busy')\n    while True: pass",
    "top level": "post_message('busy')\nwhile True: pass",
    "deaf": """
import signal
import socket
signal.signal(signal.SIGTERM, signal.SIG_IGN)
post_message('busy')
while True: pass
""",
}


@pytest.mark.parametrize("source", BUSY.values(), ids=BUSY)
def test_case_74_terminate_an_endless_loop(source: str) -> None:
    """
    A worker that never comes back is gone within the time and the grace, without an error event.
    """
    worker = Worker(source=source)
    ear = Ear(worker)
    worker.post_message(1)
    assert "busy" == ear.next().data
    done = worker.terminate(0.2)
    wait_until(done.done, 0.2 + 1.0 + 2.0)
    assert done.result(0) in {-signal.SIGTERM, -signal.SIGKILL}
    assert ["exit"] == types_of(ear.to_the_end())


def test_case_74_terminate_during_import_scripts(tmp_path: Path) -> None:
    """
    Also while it runs a file that it imports.
    """
    (tmp_path / "endless.py").write_text("post_message('busy')\nwhile True: pass\n")
    script = tmp_path / "main.py"
    script.write_text("import_scripts('endless.py')\n")
    worker = Worker(script)
    ear = Ear(worker)
    assert "busy" == ear.next().data
    assert -signal.SIGTERM == worker.terminate(0.1).result(SECONDS)
    assert ["exit"] == types_of(ear.to_the_end())


def test_case_76_terminate_with_much_under_way() -> None:
    """
    A thousand messages under way in both directions do not hold it up.
    """
    source = "def onmessage(event):\n    for _ in range(10): post_message(bytes(1000))"
    worker = Worker(source=source)
    for _ in range(1000):
        worker.post_message(bytes(1000))
    worker.ready.result(SECONDS)
    wait_until(worker.terminate(1.0).done, 5.0)


def test_case_77_onclose_runs_when_asked_to_leave() -> None:
    """
    Its last post is not dispatched on the worker, but a port that it writes to delivers.
    """
    from webworker_executor import MessageChannel

    source = """
def onmessage(event):
    global port
    port = event.ports[0]
    post_message("ready")
def onclose(event):
    post_message("too late")
    port.post_message("last words")
"""
    channel = MessageChannel()
    worker = Worker(source=source)
    ear = Ear(worker)
    worker.post_message(None, [channel.port2])
    assert "ready" == ear.next().data
    assert 0 == worker.terminate(timeout=5.0).result(SECONDS)
    assert ["exit"] == types_of(ear.to_the_end())
    assert "last words" == channel.port1.receive(SECONDS).data
    channel.port1.close()


@pytest.mark.parametrize("where", ["", "def onmessage(event):\n    "], ids=["top", "handler"])
def test_case_79_sys_exit(where: str, launcher: LauncherName) -> None:
    """
    ``sys.exit(3)`` ends the worker with 3, and its lifetime fails.
    """
    worker = Worker(source=f"import sys\n{where}sys.exit(3)", launcher=launcher)
    ear = Ear(worker)
    worker.post_message(1)
    event = ear.to_the_end()[-1]
    assert (3, None) == (event.code, event.signal)
    with pytest.raises(WorkerCrashedError, match="exited with status 3") as failure:
        worker.lifetime.result(SECONDS)
    assert 3 == failure.value.exitcode


def test_case_79_sys_exit_without_a_status(launcher: LauncherName) -> None:
    """
    A script that exits with 0 has lived as it should.
    """
    worker = Worker(source="import sys; sys.exit()", launcher=launcher)
    assert None is worker.lifetime.result(SECONDS)
    assert 0 == worker.exited.result(SECONDS)


@pytest.mark.parametrize(
    ("statement", "status", "words"),
    [
        ("sys.exit(-1)", 255, ""),
        ("sys.exit(1 << 8)", 0, ""),
        ("sys.exit('last words')", 1, "last words"),
        ("raise KeyboardInterrupt", -signal.SIGINT, "KeyboardInterrupt"),
    ],
)
def test_case_79_as_an_interpreter_ends(
    launcher: LauncherName,
    statement: str,
    status: int,
    words: str,
    capfd: pytest.CaptureFixture[str],
) -> None:
    """
    Whichever way it was started, with the same status and the same last words.
    """
    worker = Worker(source=f"import sys\n{statement}", launcher=launcher)
    assert status == worker.exited.result(SECONDS)
    assert words == capfd.readouterr().err.rstrip("\n").rpartition("\n")[2]


def test_case_80_a_crash() -> None:
    """
    What was sent before is delivered first, the exit is told last, and the lifetime says why.
    """
    source = """
import os, signal
for number in range(100):
    post_message(number)
os.kill(os.getpid(), signal.SIGSEGV)
"""
    worker = Worker(source=source)
    events = Ear(worker).to_the_end()
    assert list(range(100)) == [event.data for event in events[:100]]
    assert ["close", "exit"] == types_of(events[100:])
    assert (None, signal.SIGSEGV) == (events[-1].code, events[-1].signal)
    with pytest.raises(WorkerCrashedError, match="SIGSEGV") as failure:
        worker.lifetime.result(SECONDS)
    error = failure.value
    assert (11, "SIGSEGV", -11) == (error.signal, error.signal_name, error.exitcode)


def test_case_82_work_goes_on_side_by_side(tmp_path: Path) -> None:
    """
    A message is on its way while the poster works on, and posting never waits for the worker.
    """
    path = tmp_path / "came"
    path.write_bytes(b"0")
    source = "def onmessage(event):\n    with open(event.data, 'r+b') as file: file.write(b'1')"
    with (
        Worker(source=source) as worker,
        open(path, "rb") as file,
        mmap.mmap(file.fileno(), 1, prot=mmap.PROT_READ) as came,
    ):
        worker.ready.result(SECONDS)
        worker.post_message(str(path))
        # No call into the package, and the main thread is never idle.
        end = time.monotonic() + SECONDS
        while came[0] == ord("0") and time.monotonic() < end:
            pass
        assert ord("1") == came[0]


def test_case_83_workers_make_workers() -> None:
    """
    One starts a second, which starts a third: what comes back has passed all of them.
    """
    innermost = "def onmessage(event): post_message('3')"
    middle = f"""
from webworker_executor import Worker
inner = Worker(source={innermost!r})
inner.onmessage = lambda event: post_message('2' + event.data)
def onmessage(event): inner.post_message(event.data)
"""
    outermost = f"""
from webworker_executor import Worker
inner = Worker(source={middle!r})
inner.onmessage = lambda event: post_message('1' + event.data)
def onmessage(event): inner.post_message(event.data)
"""
    with Worker(source=outermost) as worker:
        ear = Ear(worker)
        worker.post_message("go")
        assert "123" == ear.next().data


def test_case_85_nobody_outlives_a_killed_host(tmp_path: Path) -> None:
    """
    SIGKILL to the program takes its workers with it, busy and nested ones too.
    """
    program = tmp_path / "program.py"
    program.write_text(
        """
import json, sys
from webworker_executor import Worker
BUSY = "import os\\nwhile not post_message(os.getpid()):\\n    while True: pass"
nested = f'''
import os
from webworker_executor import Worker
post_message(os.getpid())
inner = Worker(source={BUSY!r})
inner.onmessage = lambda event: post_message(event.data)
'''
idle = Worker(source="import os; post_message(os.getpid())")
outer = Worker(source=nested)
pids = [idle.receive(20).data, outer.receive(20).data, outer.receive(20).data]
print(json.dumps(pids), flush=True)
sys.stdin.read()
"""
    )
    environment = {**os.environ, "PYTHONPATH": str(Path(__file__).parents[2])}
    host = subprocess.Popen(
        [sys.executable, str(program)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        env=environment,
    )
    with host:
        assert host.stdout is not None
        pids = json.loads(host.stdout.readline())
        pidfds = [os.pidfd_open(pid) for pid in pids]
        host.kill()
    import select

    for pidfd in pidfds:
        # Readable once the process has ended.
        assert [pidfd] == select.select([pidfd], [], [], 5.0)[0]
        os.close(pidfd)


def test_case_86_the_name() -> None:
    """
    A worker knows its name, the kernel shows it, and it is empty by default.
    """
    source = "post_message((name, scope.name, open('/proc/self/comm').read().strip()))"
    with Worker(source=source, name="resize") as worker:
        assert ("resize", "resize", "resize") == worker.receive(SECONDS).data
        assert "resize" == worker.name
    with Worker(source="post_message(name)") as worker:
        assert "" == worker.receive(SECONDS).data
        assert "" == worker.name


def test_case_88_handlers_that_are_none() -> None:
    """
    What cannot be called is stored as ``None``; an object with ``handle_event`` is called.
    """
    source = """
scope.onmessage = "print"
first = scope.onmessage
class Handler:
    def handle_event(self, event):
        post_message((first, event.data))
scope.onmessage = Handler()
"""
    with Worker(source=source) as worker:
        worker.post_message(5)
        assert (None, 5) == worker.receive(SECONDS).data
        worker.onmessage = 5  # type: ignore[assignment]  # what is tested
        assert None is worker.onmessage


def test_case_89_events_of_ones_own() -> None:
    """
    In a worker as outside: order, once, removal, doubles, and a listener that raises.
    """
    source = """
from webworker_executor import Event
heard = []
def twice(event): heard.append("twice")
def removed(event): heard.append("removed")
def first(event):
    heard.append("first")
    remove_event_listener("custom", removed)
    raise ValueError("of a listener")
add_event_listener("custom", first)
add_event_listener("custom", removed)
add_event_listener("custom", twice)
add_event_listener("custom", twice)
add_event_listener("custom", lambda event: heard.append("once"), once=True)
dispatch_event(Event("custom"))
dispatch_event(Event("custom"))
post_message(heard)
"""
    with Worker(source=source) as worker:
        ear = Ear(worker)
        assert ["error", "error"] == [ear.next().type for _ in range(2)]
        assert ["first", "twice", "once", "first", "twice"] == ear.next().data


def test_case_91_hardware_concurrency() -> None:
    """
    At least one, and no more than the process may use.
    """
    source = "import os; os.sched_setaffinity(0, {min(os.sched_getaffinity(0))})\n" + (
        "post_message(navigator.hardware_concurrency)"
    )
    with Worker(source=source) as worker:
        assert 1 == worker.receive(SECONDS).data


def test_case_92_siblings_share_nothing(tmp_path: Path) -> None:
    """
    Two workers of one script are two processes with globals of their own.
    """
    script = tmp_path / "counter.py"
    script.write_text(
        "import os\ncount = 0\n"
        "def onmessage(event):\n    global count\n    count += 1\n"
        "    post_message((os.getpid(), count))\n"
    )
    with Worker(script) as one, Worker(script) as other:
        for worker in (one, one, other):
            worker.post_message(None)
        counted = [one.receive(SECONDS).data for _ in range(2)]
        assert [(one.pid, 1), (one.pid, 2)] == counted
        counted = [other.receive(SECONDS).data]
        assert [(other.pid, 1)] == counted


def test_case_94_garbage_on_the_channel() -> None:
    """
    A worker that writes what is no frame is killed, alone, and that is told.
    """
    garbage = "import os\ndef onmessage(event):\n    os.write(3, b'x' * 64)\n    while True: pass"
    with Worker(source=ECHO) as other:
        worker = Worker(source=garbage)
        ear = Ear(worker)
        worker.post_message(1)
        events = ear.to_the_end()
        assert ["error", "close", "exit"] == types_of(events)
        assert isinstance(events[0].error, ProtocolError)
        with pytest.raises(ProtocolError, match="no frame"):
            worker.lifetime.result(SECONDS)
        other.post_message("unharmed")
        assert "unharmed" == other.receive(SECONDS).data


def test_a_program_that_ends_takes_its_workers_along(run_script: ScriptRunner) -> None:
    """
    A program with an idle, a busy and a silent worker ends by itself, with nothing to complain of.
    """
    done = run_script(
        "from webworker_executor import Worker\n"
        "idle = Worker(source='post_message(1)')\n"
        "busy = Worker(source='for n in range(10**7): n * n')\n"
        "print(idle.receive(20).data)\n"
    )
    assert (0, "1\n", "") == (done.returncode, done.stdout, done.stderr)


def can_become_nobody() -> bool:
    """
    Tell whether this is root, and whether others could read this Python.
    """
    folders = Path(os.__file__).resolve().parents
    return os.getuid() == 0 and all(folder.stat().st_mode & 0o001 for folder in folders)


PREFORK = """
import os, socket
def onmessage(event):
    listener = socket.socket(fileno=event.fd)
    post_message(os.getuid())
    while True:
        connection, _ = listener.accept()
        with connection:
            connection.sendall(str(os.getpid()).encode())
"""


def test_case_101_workers_share_a_listening_socket() -> None:
    """
    Four workers accept on one socket and every request is answered; one runs as another user.
    """
    users = [0, 0, 0, 65534] if can_become_nobody() else [os.getuid()] * 4
    with socket.create_server(("127.0.0.1", 0)) as listener:
        workers = [
            Worker(source=PREFORK, user=None if user == os.getuid() else user) for user in users
        ]
        for worker in workers:
            worker.post_message(None, fds=[listener])
        assert users == [worker.receive(SECONDS).data for worker in workers]
        answers = set()
        for _ in range(40):
            with socket.create_connection(listener.getsockname(), SECONDS) as client:
                answers.add(int(client.makefile("rb").read()))
        assert answers <= {worker.pid for worker in workers}
        assert answers
    for worker in workers:
        worker.terminate(0)
    assert {-signal.SIGKILL} == {worker.exited.result(SECONDS) for worker in workers}
