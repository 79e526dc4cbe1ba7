"""
Tests of `webworker_executor.child.lifeline`: no worker outlives its host.
"""

from __future__ import annotations

import contextlib
from typing import TYPE_CHECKING

import pytest

from tests.child import tasks
from tests.patience import Stopwatch, wait_until
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
