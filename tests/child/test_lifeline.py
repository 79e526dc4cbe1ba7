"""
Tests of `webworker_executor.child.lifeline`: no worker outlives its host.
"""

from __future__ import annotations

import contextlib
import os
import pickle
import sys
from typing import TYPE_CHECKING

import pytest

from tests.child import tasks
from tests.patience import Stopwatch, wait_until
from webworker_executor.child import lifeline
from webworker_executor.launch.launcher import CONTROL_FD
from webworker_executor.wire.frame import encode
from webworker_executor.wire.kinds import TASK_MESSAGE

if TYPE_CHECKING:
    from tests.launch.peer import Peer
    from tests.script import ScriptRunner

HOST = """
import os, signal, sys, time
from tests.child import tasks
from tests.launch.peer import Peer, Program, make_launcher
from webworker_executor.web.host import host

launcher, state, death = sys.argv[1:]
reactor, _ = host.acquire(Program())
peer = Peer(make_launcher(launcher), reactor, say_hello=state != "starting")
if state != "starting":
    peer.ready().run(abs, -1)
if state == "busy in C":
    peer.call(1, sum, range(10**12))
elif state == "backtracking":
    peer.call(1, tasks.backtrack)
elif state == "asleep":
    peer.call(1, time.sleep, 60)
elif state == "stopped":
    peer.child.send_signal(signal.SIGSTOP)
elif state == "deaf":
    peer.run(tasks.evaluate, "[signal.signal(n, signal.SIG_IGN) for n in (1, 2, 15)] and None")
    peer.call(1, time.sleep, 60)
# The program's output ends when the last process that holds it has ended.
print(time.monotonic(), flush=True)
if death == "exit":
    os._exit(0)
os.kill(os.getpid(), int(death))
"""


@pytest.mark.slow
@pytest.mark.parametrize(
    "state", ["idle", "busy in C", "backtracking", "asleep", "stopped", "deaf", "starting"]
)
def test_worker_ends_with_its_host(run_script: ScriptRunner, launcher: str, state: str) -> None:
    """
    A killed host takes its workers along within a second, whatever they do.
    """
    with Stopwatch() as watch:
        done = run_script(HOST, launcher, state, "9")
    assert "" == done.stderr
    assert watch.since(float(done.stdout)) < 1.0


@pytest.mark.slow
@pytest.mark.parametrize("death", ["exit", "15", "1", "11"])
def test_every_death_of_the_host(run_script: ScriptRunner, launcher: str, death: str) -> None:
    """
    However the host ends, the workers end.
    """
    with Stopwatch() as watch:
        done = run_script(HOST, launcher, "busy in C", death)
    assert watch.since(float(done.stdout)) < 1.0


def end_at_once(peer: Peer) -> int | None:
    """
    Return how a worker ended that was to be gone within a second.
    """
    wait_until(peer.exited.is_set, 1.0)
    return peer.wait()


@pytest.mark.parametrize("busy", [False, True], ids=["idle", "in a task"])
def test_end_of_the_control_link(peer: Peer, busy: bool) -> None:
    """
    A worker whose control link ends is gone at once, in the middle of a task, too.
    """
    if busy:
        peer.call(1, tasks.wait_for_signal)
        assert "waiting" == peer.message()
    peer.control.close()
    assert 1 == end_at_once(peer)


def test_a_control_link_that_a_task_closed(peer: Peer) -> None:
    """
    The worker ends between two tasks: it is the link that is gone, and not the host.
    """
    peer.run(tasks.evaluate, f"os.close({CONTROL_FD})")
    # A thread that waits at the link notices when something comes, and one that was about to wait
    # has noticed; the other thread between two tasks.
    with contextlib.suppress(EOFError, ConnectionError):
        peer.control.sendall(encode(TASK_MESSAGE, 1)[0])
        for number in range(2, 1000):
            peer.call(number, abs, -3)
            assert 3 == peer.answer(number)
    assert 1 == peer.wait()


def test_end_of_the_data_link(peer: Peer) -> None:
    """
    An idle worker whose data link ends is gone at once.
    """
    peer.data.close()
    assert 1 == end_at_once(peer)


def test_copies_of_a_task_outlive_nothing_of_the_worker(peer: Peer) -> None:
    """
    A copy that a task forked and left behind does not keep the worker from ending.
    """
    pid = peer.run(tasks.fork_and_sleep)
    peer.control.close()
    assert 1 == end_at_once(peer)
    import os
    import signal

    os.kill(pid, signal.SIGKILL)


FORKS = """
import os, sys, threading, warnings
from webworker_executor import WebWorkerExecutor

def fork():
    pid = os.fork()
    if not pid:
        os._exit(0)
    os.waitpid(pid, 0)

def fork_beside_a_thread():
    done = threading.Event()
    thread = threading.Thread(target=done.wait)
    thread.start()
    try:
        with warnings.catch_warnings(record=True) as told:
            # Behind the one that is asked first.
            warnings.filters.insert(1, ("always", None, DeprecationWarning, None, 0))
            fork()
    finally:
        done.set()
        thread.join()
    return [str(warning.message).split(") ", 1)[1] for warning in told]

def fork_within_filters():
    with warnings.catch_warnings():
        fork()
        warnings.simplefilter("ignore")
        fork()
    fork()
    warnings.warn("This process is none of ours", DeprecationWarning)

if __name__ == "__main__":
    with WebWorkerExecutor(1, launcher=sys.argv[1]) as executor:
        executor.submit(fork).result(20)
        executor.submit(fork).result(20)
        print(*executor.submit(fork_beside_a_thread).result(20))
        print(repr(executor.submit(fork_within_filters).exception(20)))
        filters = executor.submit(lambda: warnings.filters).result(20)
        assert 1 == sum(type(item[1]).__name__ == "OfOwnThread" for item in filters)
"""


@pytest.mark.slow
@pytest.mark.skipif(sys.version_info < (3, 12), reason="nobody is warned of a fork")
@pytest.mark.parametrize("options", [[], ["-W", "error"]], ids=["", "where warnings are errors"])
def test_nobody_is_warned_of_the_workers_own_thread(
    run_script: ScriptRunner, launcher: str, options: list[str]
) -> None:
    """
    A task may fork, as in a process with one thread; of the threads of its own it is told.
    """
    done = run_script(FORKS, launcher, options=options)
    assert 0 == done.returncode, done.stderr
    told, outcome = done.stdout.splitlines()
    assert "is multi-threaded, use of fork() may lead to deadlocks in the child." == told
    error = "DeprecationWarning('This process is none of ours')"
    assert (error if options else "None") == outcome
    assert "multi-threaded" not in done.stderr


@pytest.mark.skipif(sys.version_info < (3, 12), reason="nobody is warned of a fork")
def test_a_script_is_not_warned_either(run_script: ScriptRunner) -> None:
    """
    Its worker has the same thread.
    """
    script = """
import os, warnings

# Behind the one that is asked first.
warnings.filters.insert(1, ("error", None, DeprecationWarning, None, 0))
os.waitpid(os.fork() or os._exit(0), 0)
print("done")
close()
"""
    program = f"""
from webworker_executor import Worker

if __name__ == "__main__":
    with Worker(source={script!r}) as worker:
        worker.exited.result(20)
"""
    done = run_script(program)
    assert ("done\n", "", 0) == (done.stdout, done.stderr, done.returncode)


def test_other_warnings_are_left_alone() -> None:
    """
    Also the same one of another process; and copies of a filter are equal.
    """
    text = "This process (pid={}) is multi-threaded, use of fork() may lead to deadlocks"
    own = lifeline.OfOwnThread()
    assert not own.match("another")
    assert not own.match(text.format(os.getpid() + 1))
    assert own == pickle.loads(pickle.dumps(own))
