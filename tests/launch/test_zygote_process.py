"""
Tests of `webworker_executor.launch.zygote_process`: what is asked of the zygote, and its silence.
"""

from __future__ import annotations

import os
import select
import signal
import sys
import threading
import time
from multiprocessing import spawn
from typing import TYPE_CHECKING

import pytest

from tests.launch.peer import TIMEOUT, Peer
from tests.patience import wait_until
from webworker_executor import WebWorkerExecutor, current_task
from webworker_executor.launch.procfs import state_of
from webworker_executor.launch.zygote import ZygoteLauncher

if TYPE_CHECKING:
    from pathlib import Path

    from tests.script import ScriptRunner
    from webworker_executor.link.reactor import Reactor


STOPPED = """\
#!/bin/sh
echo $$ > {folder}/began
mv {folder}/began {folder}/pid
kill -STOP $$
exec {python} "$@"
"""


def test_stopped_zygote_holds_nobody_up(
    reactor: Reactor, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """
    More is to be told to it than its socket takes; meanwhile the reactor serves others.
    """
    script = tmp_path / "python"
    script.write_text(STOPPED.format(folder=tmp_path, python=sys.executable))
    script.chmod(0o700)
    monkeypatch.setattr(spawn, "_python_exe", str(script))
    monkeypatch.setattr(sys, "argv", ["program", "x" * 1_000_000])
    launcher = ZygoteLauncher()
    peers: list[Peer] = []
    starting = [
        threading.Thread(target=lambda: peers.append(Peer(launcher, reactor))) for _ in range(2)
    ]
    for thread in starting:
        thread.start()
    wait_until((tmp_path / "pid").exists)
    zygote = int((tmp_path / "pid").read_text())
    wait_until(lambda: state_of(zygote) == "T")
    is_served = threading.Event()
    reactor.call_soon(is_served.set)
    was_served = is_served.wait(TIMEOUT / 2)
    os.kill(zygote, signal.SIGCONT)
    for thread in starting:
        thread.join()
    with peers[0] as one, peers[1] as two:
        assert one.ready().run(os.getppid) == two.ready().run(os.getppid)
    assert was_served


@pytest.mark.slow
def test_end_that_a_stopped_zygote_does_not_tell(reactor: Reactor) -> None:
    """
    It is seen all the same, and how the worker ended stays unknown.
    """
    with Peer(ZygoteLauncher(), reactor) as peer:
        zygote = peer.ready().run(os.getppid)
        os.kill(zygote, signal.SIGSTOP)
        wait_until(lambda: state_of(zygote) == "T")
        try:
            peer.child.kill()
            has_ended = peer.exited.wait(TIMEOUT)
        finally:
            os.kill(zygote, signal.SIGCONT)
        assert has_ended
        assert peer.child.exitcode is None


def test_killed_zygote(reactor: Reactor) -> None:
    """
    With the zygote its workers end, each end is told, and the next worker gets a new zygote.
    """
    launcher = ZygoteLauncher()
    with Peer(launcher, reactor) as one, Peer(launcher, reactor) as two:
        zygote = one.ready().run(os.getppid)
        two.ready()
        os.kill(zygote, signal.SIGKILL)
        assert [-signal.SIGKILL] * 2 == [one.wait(), two.wait()]
        assert f"the zygote (pid {zygote}) was killed by SIGKILL" in one.child.why
        with Peer(launcher, reactor) as three:
            assert zygote != three.ready().run(os.getppid)


def test_workers_end_with_a_killed_zygote(reactor: Reactor) -> None:
    """
    Also a worker that is busy in C, and knows of nothing, ends with the zygote.
    """
    launcher = ZygoteLauncher()
    with Peer(launcher, reactor) as peer:
        zygote = peer.ready().run(os.getppid)
        peer.call(1, sum, range(10**12))
        pidfd = os.pidfd_open(peer.child.pid)
        os.kill(zygote, signal.SIGKILL)
        peer.wait()
        assert [pidfd] == select.select([pidfd], [], [], TIMEOUT)[0]
        os.close(pidfd)


def begin_and_sleep() -> None:
    """Say that it has begun, and sleep."""
    task = current_task()
    assert task is not None
    task.post_message("begun")
    time.sleep(3600)


def test_tasks_are_told_of_a_killed_zygote() -> None:
    """
    The error names what has ended them, and does not speak of one task alone.
    """
    with WebWorkerExecutor(2, launcher="zygote") as executor:
        parents = executor.run_on_all(os.getppid)
        futures = [executor.submit(begin_and_sleep) for _ in range(2)]
        for future in futures:
            future.messages().receive(TIMEOUT)
        os.kill(parents[0], signal.SIGKILL)
        errors = [str(future.exception(TIMEOUT)) for future in futures]
        assert pow(2, 3) == executor.submit(pow, 2, 3).result(TIMEOUT)
    for text in errors:
        assert f"because the zygote (pid {parents[0]}) was killed by SIGKILL" in text
        assert "The tasks that those ran failed" in text


NO_ROOM = """
import os, resource, sys
from tests.launch.peer import Peer, Program
from webworker_executor.launch.zygote import ZygoteLauncher
from webworker_executor.web.host import host

program = Program()
reactor, _ = host.acquire(program)
launcher = ZygoteLauncher()
with Peer(launcher, reactor) as first:
    first.ready()
    # Just enough to ask: as many as socket pairs take, and none for the pidfd.
    held = [os.dup(0) for _ in range(50)]
    lowered = max(held) + 1
    resource.setrlimit(resource.RLIMIT_NOFILE, (lowered, 4096))
    for fd in held[:int(sys.argv[1])]:
        os.close(fd)
    try:
        with Peer(launcher, reactor) as peer:
            if isinstance(peer.outcome, OSError):
                print("error")
            else:
                peer.ready()
                print("ready")
    except OSError:
        print("error")
    resource.setrlimit(resource.RLIMIT_NOFILE, (4096, 4096))
    with Peer(launcher, reactor) as peer:
        print(peer.ready().run(abs, -1))
host.release(program)
"""


@pytest.mark.slow
@pytest.mark.parametrize("n_free", [0, 2, 4, 5, 6, 7, 8])
def test_no_descriptor_for_the_pidfd(run_script: ScriptRunner, n_free: int) -> None:
    """
    Where the program has no descriptor left, a start succeeds or fails, and the next one works.
    """
    done = run_script(NO_ROOM, str(n_free))
    assert "" == done.stderr
    outcome, later = done.stdout.split()
    assert outcome in {"ready", "error"}
    assert "1" == later


FORKED = """
import os
from webworker_executor import WebWorkerExecutor

executor = WebWorkerExecutor(1, launcher="zygote")
executor.submit(abs, -1).result()
pid = os.fork()
if pid == 0:
    with WebWorkerExecutor(1, launcher="zygote") as other:
        print(other.submit(abs, -2).result(), flush=True)
    os._exit(0)
os.waitpid(pid, 0)
print(executor.submit(abs, -3).result())
executor.shutdown()
"""


def test_forked_copy_lets_go_of_it(run_script: ScriptRunner) -> None:
    """
    The socket is closed there when the program forks, and not when it is found to be of no use.
    """
    done = run_script(FORKED, options=["-X", "dev", "-W", "ignore::DeprecationWarning"])
    assert ("2\n3\n", "") == (done.stdout, done.stderr)
