"""
Tests of `webworker_executor.web.worker`: a script in a process of its own, as its maker sees it.

What the Web promises of workers is asked for in ``tests/conformance``.
"""

from __future__ import annotations

import asyncio
import gc
import os
import pickle
import re
import signal
import subprocess
import sys
import threading
import time
import venv
import weakref
from typing import TYPE_CHECKING, Any

import pytest

from tests.conformance.listening import SECONDS, Ear
from tests.patience import wait_until
from webworker_executor import (
    DataCloneError,
    Event,
    Limits,
    MessageChannel,
    PortClosedError,
    Worker,
    WorkerCrashedError,
    WorkerStartError,
    scope,
)
from webworker_executor.launch.procfs import state_of

if TYPE_CHECKING:
    from pathlib import Path

    from tests.script import ScriptRunner
    from webworker_executor.web.launchers import LauncherName

ECHO = "def onmessage(event): post_message(event.data)"

is_root = pytest.mark.skipif(os.getuid() != 0, reason="only root may become somebody else")


def post_arguments(*args: object) -> None:
    scope.post_message((args, scope.name, scope.is_worker))


def answer(event: Any) -> None:
    scope.post_message(event.data * 2)


def listen() -> None:
    scope.onmessage = answer


@pytest.mark.slow
def test_drain_waits_until_the_worker_reads() -> None:
    """
    What was posted is seen to wait, and ``drain`` returns when the worker has read it.
    """
    reading, writing = os.pipe()
    source = f"import os; os.read({reading}, 1)\n{ECHO}"
    with open(reading, "rb"), open(writing, "wb") as bell:
        os.set_inheritable(reading, True)
        with Worker(source=source, launcher="fork") as worker:
            worker.post_message([bytes(10_000_000)])
            with pytest.raises(TimeoutError, match="does not read"):
                worker.drain(0.1)
            assert worker.buffered_amount > 0
            bell.write(b"x")
            bell.flush()
            worker.drain(SECONDS)
            assert 0 == worker.buffered_amount


@pytest.mark.slow
def test_drain_ends_with_the_worker(tmp_path: Path) -> None:
    """
    Nobody waits for a process that is gone, whichever way it speaks.
    """
    for worker in (Worker(source="close()"), Worker(command=["sleep", "60"])):
        worker.post_message(bytes(10_000_000))
        worker.terminate(0)
        worker.drain(SECONDS)
        worker.exited.result(SECONDS)
        worker.drain(SECONDS)
        assert 0 == worker.buffered_amount


def test_states_and_repr() -> None:
    """
    A worker tells what it is, from the first moment to the last.
    """
    worker = Worker(source=ECHO, name="resize")
    assert worker.state in {"starting", "running"}
    worker.ready.result(SECONDS)
    assert "running" == worker.state
    assert f"<Worker 'resize' pid={worker.pid} running>" == repr(worker)
    assert 0 == worker.terminate().result(SECONDS)
    assert "exited" == worker.state
    assert f"<Worker 'resize' pid={worker.pid} exited>" == repr(worker)


def test_messages_before_it_is_up_keep_their_order() -> None:
    """
    What is posted at once arrives in order, large and small.
    """
    with Worker(source=ECHO) as worker:
        messages = [number if number % 3 else bytes(200_000) for number in range(30)]
        for message in messages:
            worker.post_message(message)
        assert messages == [worker.receive(SECONDS).data for _ in messages]


def test_with_waits_for_the_end() -> None:
    """
    After the block the process is gone.
    """
    with Worker(source=ECHO) as worker:
        worker.ready.result(SECONDS)
    assert (True, "exited") == (worker.exited.done(), worker.state)


@pytest.mark.parametrize("call", [True, False], ids=["handlers", "receive"])
def test_asyncio(call: bool) -> None:
    """
    Futures can be awaited, handlers that are set on a loop run there, and messages can be awaited.
    """

    async def main() -> tuple[object, bool]:
        loop = asyncio.get_running_loop()
        async with Worker(source=ECHO) as worker:
            await worker.ready
            worker.post_message("hello")
            if not call:
                return (await worker.areceive()).data, True
            heard: asyncio.Future[tuple[object, bool]] = loop.create_future()
            worker.onmessage = lambda event: heard.set_result(
                (event.data, asyncio.get_running_loop() is loop)
            )
            return await heard

    assert ("hello", True) == asyncio.run(main())


@pytest.mark.slow
def test_a_callable(tmp_path: Path) -> None:
    """
    A function is called with ``argv`` in the worker; its module is imported there.
    """
    with Worker(post_arguments, argv=[1, {"two": 2}], name="fn") as worker:
        assert ((1, {"two": 2}), "fn", True) == worker.receive(SECONDS).data
    with Worker(listen) as worker:
        worker.post_message(21)
        assert 42 == worker.receive(SECONDS).data


def test_a_callable_that_does_not_pickle() -> None:
    """
    What cannot be packed is told at the call, and nothing is started.
    """
    lock = threading.Lock()
    with pytest.raises(TypeError, match="cannot pickle"):
        Worker(lambda: lock)


@pytest.mark.slow
def test_a_module(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """
    A module runs as ``python -m`` runs it, a package by its ``__main__``.
    """
    package = tmp_path / "errands"
    package.mkdir()
    (package / "__init__.py").write_text("")
    (package / "__main__.py").write_text(
        "import sys\nfrom . import helper\n"
        "post_message((__name__, __package__, helper.VALUE, sys.argv[1:]))\n"
    )
    (package / "helper.py").write_text("VALUE = 5")
    monkeypatch.syspath_prepend(tmp_path)
    with Worker(module="errands", argv=["x"]) as worker:
        assert ("__main__", "errands", 5, ["x"]) == worker.receive(SECONDS).data
    worker = Worker(module="errands.missing")
    Ear(worker, ("error",))
    assert isinstance(worker.ready.exception(SECONDS), Exception)


@pytest.mark.slow
def test_a_script_is_the_main_program(tmp_path: Path) -> None:
    """
    It has its own name, arguments, folder and namespace, and a class of it can be sent.
    """
    (tmp_path / "beside.py").write_text("VALUE = 7")
    script = tmp_path / "main.py"
    script.write_text(
        "import sys, beside\n"
        "class Point:\n    x = 3\n"
        "if __name__ == '__main__':\n"
        "    post_message((sys.argv, __file__, beside.VALUE, location.search, location.hash))\n"
        "    post_message(Point())\n"
    )
    with Worker(f"{script}?level=3#top", argv=["a"]) as worker:
        expected = ([str(script), "a"], str(script), 7, "?level=3", "#top")
        assert expected == worker.receive(SECONDS).data
        assert 3 == worker.receive(SECONDS).data.x
    with Worker(script.as_uri()) as worker:
        assert ([str(script)], str(script), 7, "", "") == worker.receive(SECONDS).data


def test_worker_data_moves_ports() -> None:
    """
    A worker begins with a copy of what it was given; a port in it is there from the first line.
    """
    channel = MessageChannel()
    source = "worker_data['port'].post_message(worker_data['value'])"
    with Worker(source=source, worker_data={"port": channel.port2, "value": 9}), channel.port1:
        assert 9 == channel.port1.receive(SECONDS).data


def test_sockets_without_an_executor(run_script: ScriptRunner) -> None:
    """
    A worker is born with them also in a program that never saw an executor.
    """
    done = run_script(
        """
import socket
from webworker_executor import Worker

def say(far):
    far.sendall(b"hello")

if __name__ == "__main__":
    near, far = socket.socketpair()
    with near, far:
        near.settimeout(20)
        with Worker(say, argv=[far]):
            print(near.recv(5))
        with Worker(source="worker_data.sendall(b'again')", worker_data=far):
            print(near.recv(5))
"""
    )
    assert ("", "b'hello'\nb'again'\n") == (done.stderr, done.stdout)


def test_surroundings(tmp_path: Path) -> None:
    """
    Variables, directory, options of the interpreter, niceness, mask and limits are as asked for.
    """
    cpu = min(os.sched_getaffinity(0))
    source = """
import os, resource, sys
post_message({
    "COLOUR": os.environ["COLOUR"], "HOME": "HOME" in os.environ, "cwd": os.getcwd(),
    "dev": sys.flags.dev_mode, "nice": os.nice(0), "umask": os.umask(0),
    "open_files": resource.getrlimit(resource.RLIMIT_NOFILE),
    "cpu": resource.getrlimit(resource.RLIMIT_CPU),
    "cpus": os.sched_getaffinity(0), "leads": os.getpid() == os.getsid(0),
})
"""
    with Worker(
        source=source,
        env={"COLOUR": "blue"},
        cwd=tmp_path,
        interpreter_args=["-X", "dev"],
        nice=3,
        umask=0o027,
        cpu_affinity={cpu},
        start_new_session=True,
        limits=Limits(open_files=100, cpu_seconds=50),
    ) as worker:
        told = worker.receive(SECONDS).data
    assert {
        "COLOUR": "blue",
        "HOME": "HOME" in os.environ,
        "cwd": str(tmp_path),
        "dev": True,
        "nice": os.nice(0) + 3,
        "umask": 0o027,
        "open_files": (100, 100),
        "cpu": (50, 51),
        "cpus": {cpu},
        "leads": True,
    } == told


def test_too_little_memory() -> None:
    """
    What does not fit is an error of the worker's, and no harm to anybody else.
    """
    source = "def onmessage(event): post_message(len(bytes(event.data)))"
    with Worker(source=source, limits=Limits(memory=1 << 30)) as worker:
        ear = Ear(worker)
        worker.post_message(1 << 31)
        assert isinstance(ear.next().error, MemoryError)
        worker.post_message(10)
        assert 10 == ear.next().data


def is_readable_for(user: int) -> bool:
    """Whether another user could run a worker of this checkout."""
    command = [sys.executable, "-c", "import webworker_executor.web.location"]
    try:
        done = subprocess.run(command, user=user, capture_output=True, check=False)
    except PermissionError:
        return False
    return done.returncode == 0


@is_root
def test_another_user(tmp_path: Path) -> None:
    """
    The script runs as the user that was asked for, from its first line, and dies with the host.
    """
    if not is_readable_for(65534):
        pytest.skip("another user cannot read the package where it lies")
    source = "import os; post_message((os.getuid(), os.getgid(), os.getgroups()))"
    with Worker(source=source, user=65534, group=65534) as worker:
        assert (65534, 65534, [65534]) == worker.receive(SECONDS).data
    worker = Worker(source=source, cwd=tmp_path / "missing")
    Ear(worker)
    assert isinstance(worker.ready.exception(SECONDS), WorkerStartError)


def test_standard_streams(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """
    Pipes have their other ends here, a file is a file, and a line leaves when it is written.
    """
    monkeypatch.delenv("PYTHONUNBUFFERED", raising=False)
    source = "import sys; print(sys.stdin.read()[::-1]); print('error', file=sys.stderr)"
    with (tmp_path / "log").open("w+b") as log:
        with Worker(source=source, stdin="pipe", stdout="pipe", stderr=log) as worker:
            assert worker.stdin is not None
            assert worker.stdout is not None
            assert worker.stderr is None
            worker.stdin.write(b"abc")
            worker.stdin.close()
            assert b"cba\n" == worker.stdout.read(4)
            worker.post_message("wake up")
            worker.ready.result(SECONDS)
        log.seek(0)
        assert b"error\n" == log.read()


@pytest.mark.parametrize("name", ["spawn", "zygote", "fork"])
def test_every_launcher(name: LauncherName) -> None:
    """
    However its process comes to be, a worker is a worker.
    """
    source = "import os; post_message(os.getpid())\n" + ECHO
    with Worker(source=source, launcher=name, name="x") as worker:
        worker.post_message("hello")
        assert [worker.receive(SECONDS).data, "hello"] == [
            worker.pid,
            worker.receive(SECONDS).data,
        ]


def test_kill_sends_a_signal() -> None:
    """
    A signal ends the worker, and one after its end does nothing.
    """
    worker = Worker(source=ECHO)
    worker.ready.result(SECONDS)
    worker.kill(signal.SIGINT)
    assert worker.exited.result(SECONDS) is not None
    worker = Worker(source=ECHO)
    worker.kill(signal.SIGKILL)
    assert -signal.SIGKILL == worker.exited.result(SECONDS)
    with pytest.raises((WorkerCrashedError, Exception)):
        worker.lifetime.result(SECONDS)
    worker.kill()


def test_a_worker_is_not_sent() -> None:
    """
    It is named itself, not by its innards, with what is sent instead.
    """
    with Worker(source=ECHO) as worker, MessageChannel() as channel:
        with pytest.raises(DataCloneError, match=r"^message\[0\] cannot be sent: a Worker stays"):
            channel.port1.post_message([worker])
        with pytest.raises(DataCloneError, match="a Worker stays where it was made; make a Mess"):
            pickle.dumps(worker)


def test_kill_sends_any_signal_that_there_is() -> None:
    """
    Those for real time have numbers only; what is no signal is refused.
    """
    worker = Worker(source=ECHO)
    for wrong in (0, -9, 65, 32):
        with pytest.raises(ValueError, match=f"{wrong} is no signal"):
            worker.kill(wrong)
    with pytest.raises(TypeError):
        worker.kill("SIGKILL")  # type: ignore[arg-type]  # that is what is tested
    worker.ready.result(SECONDS)
    worker.kill(40)
    assert -40 == worker.exited.result(SECONDS)
    with pytest.raises(WorkerCrashedError, match="killed by signal 40"):
        worker.lifetime.result(SECONDS)


@pytest.mark.slow
def test_terminate_again_and_never_by_force() -> None:
    """
    Each call returns the same future; without a time the worker is asked only.
    """
    source = "import time\ndef onmessage(event):\n    post_message(1)\n    time.sleep(0.3)"
    worker = Worker(source=source)
    worker.post_message(1)
    worker.receive(SECONDS)
    done = worker.terminate(None)
    assert done is worker.terminate(None)
    assert 0 == done.result(SECONDS)
    assert done is worker.terminate()
    with pytest.raises(ValueError, match="0 kills at once"):
        worker.terminate(-1)
    with pytest.raises(PortClosedError):
        worker.receive(SECONDS)


def test_a_shorter_time_counts() -> None:
    """
    Whoever cannot wait any longer may say so.
    """
    worker = Worker(source="post_message(1)\nwhile True: pass")
    worker.receive(SECONDS)
    worker.terminate(None)
    assert -signal.SIGKILL == worker.terminate(0).result(SECONDS)


def test_a_worker_that_nobody_holds_leaves() -> None:
    """
    It handles what was posted, and ends with 0.
    """
    channel = MessageChannel()
    source = "def onmessage(event): event.ports[0].post_message(event.data)"
    worker = Worker(source=source)
    worker.post_message("last", [channel.port2])
    exited, lifetime = worker.exited, worker.lifetime
    reference = weakref.ref(worker)
    del worker
    gc.collect()
    assert None is reference()
    assert 0 == exited.result(SECONDS)
    assert None is lifetime.result(SECONDS)
    assert "last" == channel.port1.receive(SECONDS).data
    channel.port1.close()


@pytest.mark.slow
def test_a_worker_that_nobody_holds_finishes_its_timers() -> None:
    """
    It stays while there is something to do.
    """
    exited = Worker(source="set_timeout(lambda: __import__('sys').exit(4), 0.2)").exited
    assert 4 == exited.result(SECONDS)


LISTENS = """
def onmessage(event):
    (port,) = event.ports
    port.onmessage = lambda event: port.post_message(event.data)
    {}
"""


@pytest.mark.slow
def test_a_worker_that_nobody_holds_serves_its_ports() -> None:
    """
    Until the other side closes the last of them.
    """
    channel = MessageChannel()
    worker = Worker(source=LISTENS.format(""))
    worker.post_message(None, [channel.port2])
    exited = worker.exited
    del worker
    gc.collect()
    for number in range(3):
        channel.port1.post_message(number)
        assert number == channel.port1.receive(SECONDS).data
    assert not exited.done()
    channel.port1.close()
    assert 0 == exited.result(SECONDS)


@pytest.mark.slow
def test_a_port_that_was_unreffed_holds_no_worker() -> None:
    """
    Though it listens.
    """
    channel = MessageChannel()
    worker = Worker(source=LISTENS.format("port.unref()"))
    worker.post_message(None, [channel.port2])
    exited = worker.exited
    del worker
    gc.collect()
    assert 0 == exited.result(SECONDS)
    channel.port1.close()


@pytest.mark.slow
def test_a_worker_that_somebody_listens_to_stays() -> None:
    """
    A listener is reason enough, until the worker has ended.
    """
    worker = Worker(source="set_timeout(post_message, 0.2, 'later')\nset_timeout(close, 0.3)")
    ear = Ear(worker)
    gone = threading.Event()
    weakref.finalize(worker, gone.set)
    del worker
    gc.collect()
    assert ["message", "close", "exit"] == [event.type for event in ear.to_the_end()]
    ear = None  # type: ignore[assignment]  # the events refer to the worker
    deadline = time.monotonic() + SECONDS
    # Whoever dispatched the last event lets go of it a moment later.
    while not gone.wait(0.01) and time.monotonic() < deadline:
        gc.collect()
    assert gone.is_set()


def test_errors_do_not_wait_for_messages_that_nobody_wants() -> None:
    """
    Without a listener for messages these wait for ``receive``, and errors come at once.
    """
    with Worker(source="post_message(1)\n1/0") as worker:
        assert "ZeroDivisionError: division by zero" == Ear(worker, ("error",)).next().message
        assert 1 == worker.receive(SECONDS).data


@pytest.mark.slow
def test_nobody_listens_for_errors(run_script: ScriptRunner) -> None:
    """
    What nobody hears is written to standard error, with the worker's traceback.
    """
    done = run_script(
        "from webworker_executor import Worker\n"
        "worker = Worker(source='def fail():\\n    1/0\\nclose()\\nfail()', name='sum')\n"
        "worker.lifetime.result(20)\n"
        "missing = Worker('missing.py')\n"
        "missing.exited.result(20)\n"
        "Worker(source='').terminate().result(20)\n"
    )
    assert "" == done.stdout
    assert "Uncaught in <Worker 'sum' pid=" in done.stderr
    assert 'File "<worker:1>", line 2, in fail\n    1/0\n' in done.stderr
    assert "could not be loaded: [Errno 2]" in done.stderr


@pytest.mark.slow
def test_workers_make_executors() -> None:
    """
    A worker may have a pool of its own.
    """
    source = """
from webworker_executor import WebWorkerExecutor
def onmessage(event):
    with WebWorkerExecutor(1) as executor:
        post_message(executor.submit(abs, event.data).result())
"""
    with Worker(source=source) as worker:
        worker.post_message(-5)
        assert 5 == worker.receive(SECONDS).data


def test_a_forked_copy_of_the_program_has_no_workers() -> None:
    """
    The copy lets go of the worker, which lives on for the original.
    """
    with Worker(source=ECHO) as worker:
        worker.ready.result(SECONDS)
        pid = os.fork()
        if pid == 0:
            del worker
            gc.collect()
            os._exit(0)
        assert (pid, 0) == os.waitpid(pid, 0)
        worker.post_message("still here")
        assert "still here" == worker.receive(SECONDS).data


COPY = """
import os, warnings
from webworker_executor import Worker

warnings.simplefilter("ignore")
with Worker(source="onmessage = lambda event: post_message(event.data)") as worker:
    worker.onexit = print
    worker.exited.add_done_callback(print)
    pid = os.fork()
    if pid == 0:
        for ask in (worker.lifetime.result, worker.receive):
            try:
                ask()
            except Exception as error:
                print(type(error).__name__, error)
    else:
        os.waitpid(pid, 0)
        worker.post_message("still here")
        print(worker.receive(20).data)
        worker.onexit = None
        os._exit(0)
print(worker, worker.exited.result())
"""


def test_nobody_waits_in_a_forked_copy_of_the_program(run_script: ScriptRunner) -> None:
    """
    There the worker has ended, without a word to listeners, and how is not known.
    """
    done = run_script(COPY, options=["-u"])
    lifetime, receive, whole, answer = done.stdout.splitlines()
    assert re.match("RuntimeError worker .* belongs to the process that this one was", lifetime)
    assert receive.startswith("PortClosedError")
    assert re.fullmatch(r"<Worker '.*'( pid=\d+)? exited> None", whole)
    assert ("still here", "") == (answer, done.stderr)


@pytest.mark.parametrize(
    ("options", "error", "text"),
    [
        ({"source": 5}, TypeError, "source must be a text"),
        ({"source": "", "module": "x"}, TypeError, "2 were given"),
        ({"source": "", "argv": "x"}, TypeError, "sequence of arguments"),
        ({"source": "", "argv": [1]}, TypeError, "argv must be texts"),
        ({"source": "", "name": 5}, TypeError, "name must be a text"),
        ({"source": "", "env": 5}, TypeError, "env must be a mapping"),
        ({"source": "", "limits": 5}, TypeError, r"limits must be a Limits"),
        ({"source": "", "nice": "5"}, TypeError, "nice must be"),
        ({"source": "", "user": "nobody-at-all"}, ValueError, "no user 'nobody-at-all'"),
        ({"source": "", "stdout": "nowhere"}, ValueError, "stdout cannot be 'nowhere'"),
        ({"source": "", "stdout": 3}, ValueError, "where a worker finds its link"),
        ({"source": "", "launcher": "rocket"}, ValueError, "'spawn', 'zygote' or 'fork'"),
        ({"source": "", "launcher": "fork", "stdout": "pipe"}, ValueError, "use 'spawn'"),
        ({"source": "", "on_uncaught": "ignore"}, ValueError, "'report' or 'exit', not 'ignore'"),
        (
            {"command": ["ls"], "on_uncaught": "exit"},
            ValueError,
            "any other program ends by itself",
        ),
        ({"source": "", "codec": "morse"}, ValueError, "codec must be"),
        ({"source": "", "codec": "raw"}, ValueError, "a path or a module"),
        ({"command": []}, ValueError, "command is empty"),
        ({"command": "ls"}, TypeError, "list of texts"),
        ({"command": ["ls"], "source": ""}, TypeError, "command= alone"),
        ({"command": ["ls"], "codec": "pickle"}, ValueError, "raw profile"),
        ({"command": ["ls"], "worker_data": 5}, ValueError, "needs pickle"),
        ({"command": ["ls"], "launcher": "nonsense"}, ValueError, "'spawn', 'zygote' or 'fork'"),
        ({"command": ["ls"], "launcher": "fork"}, ValueError, "Leave launcher out"),
        ({"command": ["ls"], "executable": "python"}, ValueError, "first word of command"),
        ({"command": ["ls"], "interpreter_args": ["-I"]}, ValueError, "first word of command"),
        ({"source": "", "env": {"A": 1}}, TypeError, r"env\['A'\] must be a text, not 1"),
        ({"source": "", "umask": "x"}, TypeError, "umask must be a whole number"),
    ],
)
def test_wrong_use(options: dict[str, Any], error: type[Exception], text: str) -> None:
    """
    What cannot be is told at the call, in words, and nothing is started.
    """
    with pytest.raises(error, match=text):
        Worker(**options)


def test_an_event_of_ones_own() -> None:
    """
    A worker is an event target like any other.
    """
    with Worker(source=ECHO) as worker:
        heard: list[Event] = []
        worker.add_event_listener("custom", heard.append)
        event = Event("custom")
        assert True is worker.dispatch_event(event)
        assert [event] == heard


def test_the_interpreter_is_the_one_asked_for() -> None:
    """
    A path to an interpreter is used as it is.
    """
    link = os.path.realpath(sys.executable)
    source = "import os; post_message(os.readlink('/proc/self/exe'))"
    with Worker(source=source, executable=link, env={"PYTHONPATH": os.pathsep.join(sys.path)}) as w:
        assert link == w.receive(SECONDS).data


@pytest.mark.slow
def test_another_interpreter_has_its_own_modules(tmp_path: Path) -> None:
    """
    Before those of the program, whose standard library it never meets.
    """
    venv.create(tmp_path / "env", symlinks=True)
    (installed,) = (tmp_path / "env").glob("lib/python*/site-packages")
    (installed / "tblib.py").write_text("here = True\n")
    source = "import sys, cloudpickle, tblib; post_message((tblib.here, sys.path)); close()"
    with Worker(source=source, executable=tmp_path / "env" / "bin" / "python") as worker:
        is_found, path = worker.receive(SECONDS).data
    assert is_found
    stdlib = os.path.dirname(os.__file__)
    assert path.index(stdlib) < path.index(str(installed))
    assert 1 == path.count(stdlib)
    assert set(sys.path) <= set(path)


STUCK = """
def wait_for_ever():
    post_message("begun")
    sum(iter(int, 1))
wait_for_ever()
"""


def test_the_stacks_of_a_worker_that_is_stuck(launcher: LauncherName) -> None:
    """
    In C, with the interpreter's lock in its hands; and when it has ended there are none.
    """
    with Worker(source=STUCK, launcher=launcher) as worker:
        assert "begun" == worker.receive(SECONDS).data
        assert 1 == worker.dump_stacks(SECONDS).count(" in wait_for_ever")
        worker.kill(signal.SIGSTOP)
        wait_until(lambda: "T" == state_of(worker.pid))
        assert "stopped by a signal" in worker.dump_stacks(0.2)
        worker.terminate(0)
    assert "" == worker.dump_stacks()


def test_a_fault_has_the_last_stack() -> None:
    """
    As in an executor's workers.
    """
    source = "import os, signal\ndef fault(): os.kill(os.getpid(), signal.SIGSEGV)\nfault()"
    with Worker(source=source) as worker:
        error = worker.lifetime.exception(SECONDS)
    assert isinstance(error, WorkerCrashedError)
    assert "SIGSEGV" == error.signal_name
    assert error.stack is not None
    assert " in fault" in error.stack
    assert [f"The worker's last words:\n{error.stack}"] == error.__notes__


def test_a_program_of_another_language_has_no_stacks() -> None:
    """
    The answer says so.
    """
    with Worker(command=["sleep", "60"], handshake_timeout=0) as worker:
        wait_until(lambda: worker.pid is not None)
        assert "it is not of Python" in worker.dump_stacks(0.1)
        # A program that knows nothing of us does not leave by itself.
        worker.terminate(timeout=0.0)


def test_what_a_worker_uses() -> None:
    """
    Time, memory, and what nobody has taken yet.
    """
    source = """
import time
while time.process_time() < 0.1: pass
post_message(1)
post_message(2)
"""
    with Worker(source=source) as worker:
        wait_until(lambda: worker.statistics().n_waiting == 2)
        used = worker.statistics()
        assert (worker.pid, "running", 0) == (used.pid, used.state, used.buffered_nbytes)
        assert used.cpu_seconds is not None
        assert used.memory_nbytes is not None
        # The kernel counts in hundredths.
        assert used.cpu_seconds >= 0.05
        assert used.memory_nbytes > 1_000_000
        assert used.uptime > 0.0
    after = worker.statistics()
    assert ("exited", None, None) == (after.state, after.cpu_seconds, after.memory_nbytes)
