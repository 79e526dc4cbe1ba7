"""
Tests of `webworker_executor.launch.zygote`: one clean process that forks workers, and its end.
"""

from __future__ import annotations

import os
import select
import signal
import sys
from typing import TYPE_CHECKING

import pytest

from tests.launch.peer import Peer
from tests.launch.test_launcher import evaluate
from webworker_executor.launch.zygote import ZygoteLauncher

if TYPE_CHECKING:
    from pathlib import Path

    from tests.script import ScriptRunner
    from webworker_executor.link.reactor import Reactor


def test_workers_share_a_parent_that_is_not_the_program(reactor: Reactor) -> None:
    """
    All workers of one launcher are forks of one process.
    """
    launcher = ZygoteLauncher()
    with Peer(launcher, reactor) as one, Peer(launcher, reactor) as two:
        parents = {one.ready().run(os.getppid), two.ready().run(os.getppid)}
    assert 1 == len(parents)
    assert {os.getpid()}.isdisjoint(parents)


def test_its_repr_tells_what_is_preloaded_and_for_how_many(reactor: Reactor) -> None:
    """
    Who looks at a launcher sees what it was given, and whether it is in use.
    """
    launcher = ZygoteLauncher(preload=["json"])
    launcher.open(reactor)
    assert "<ZygoteLauncher preload=['json'] users=1>" == repr(launcher)
    launcher.close(lambda: None)
    assert "<ZygoteLauncher preload=['json'] users=0>" == repr(launcher)


def test_zygote_lives_as_long_as_its_users(reactor: Reactor) -> None:
    """
    The process ends with the last user, and comes anew for the next.
    """
    launcher = ZygoteLauncher()
    with Peer(launcher, reactor) as one:
        first = one.ready().run(os.getppid)
        with Peer(launcher, reactor) as two:
            assert first == two.ready().run(os.getppid)
        assert one.child.pid == one.run(os.getpid)
    assert not os.path.exists(f"/proc/{first}")
    with Peer(launcher, reactor) as three:
        assert first != three.ready().run(os.getppid)


def test_kept_zygote_serves_users_that_follow_each_other(reactor: Reactor) -> None:
    """
    In a ``with`` statement the process outlives its users, and ends with the statement.
    """
    with ZygoteLauncher() as launcher:
        with Peer(launcher, reactor) as one:
            first = one.ready().run(os.getppid)
        with Peer(launcher, reactor) as two, Peer(launcher, reactor) as three:
            parents = {two.ready().run(os.getppid), three.ready().run(os.getppid)}
        assert {first} == parents
        assert os.path.exists(f"/proc/{first}")
    assert not os.path.exists(f"/proc/{first}")


def test_user_that_outlives_the_statement(reactor: Reactor) -> None:
    """
    At the end of the statement a zygote with a user stays for it, and ends with it.
    """
    with ZygoteLauncher() as launcher:
        peer = Peer(launcher, reactor)
    with peer as one:
        zygote = one.ready().run(os.getppid)
        with Peer(launcher, reactor) as two:
            assert zygote == two.ready().run(os.getppid)
    assert not os.path.exists(f"/proc/{zygote}")


def test_zygote_that_was_there_before_the_statement(reactor: Reactor) -> None:
    """
    A process that was not started to be kept ends with its users; the next is kept.
    """
    launcher = ZygoteLauncher()
    with Peer(launcher, reactor) as one:
        first = one.ready().run(os.getppid)
        launcher.__enter__()
        with Peer(launcher, reactor) as two:
            assert first == two.ready().run(os.getppid)
    with Peer(launcher, reactor) as three:
        second = three.ready().run(os.getppid)
    assert first != second
    with Peer(launcher, reactor) as four:
        assert second == four.ready().run(os.getppid)
    launcher.__exit__(None, None, None)


def test_kept_zygote_that_nobody_used() -> None:
    """
    A statement without users starts nothing.
    """
    with ZygoteLauncher() as launcher:
        assert launcher._zygote is None


@pytest.mark.parametrize("is_told", [True, False])
def test_kept_zygote_that_died(reactor: Reactor, is_told: bool) -> None:
    """
    When a kept zygote has died between two users, the next gets a new one.
    """
    with ZygoteLauncher() as launcher:
        with Peer(launcher, reactor) as one:
            first = one.ready().run(os.getppid)
        pidfd = os.pidfd_open(first)
        os.kill(first, signal.SIGKILL)
        if is_told:
            assert [pidfd] == select.select([pidfd], [], [], 5.0)[0]
            with Peer(launcher, reactor) as two:
                assert first != two.ready().run(os.getppid)
        os.close(pidfd)


KEPT = """
import os, sys
from webworker_executor import WebWorkerExecutor, ZygoteLauncher

with ZygoteLauncher() as zygote:
    parents = set()
    for _ in range(3):
        # Each has an I/O thread of its own, and the kernel ties children to threads.
        with WebWorkerExecutor(1, launcher=zygote) as executor:
            parents.add(executor.submit(os.getppid).result(20))
    assert len(parents) == 1, parents
    pid = os.fork()
    if pid == 0:
        # A copy of the program that leaves the statement.
        zygote.__exit__(None, None, None)
        os._exit(0)
    os.waitpid(pid, 0)
    with WebWorkerExecutor(1, launcher=zygote) as executor:
        assert parents == {executor.submit(os.getppid).result(20)}
        if sys.argv[1:] == ["die"]:
            print(*parents, executor.submit(os.getpid).result(20), flush=True)
            os._exit(0)
print(*parents)
"""


@pytest.mark.slow
def test_kept_zygote_outlives_the_io_thread(run_script: ScriptRunner) -> None:
    """
    Executors that follow each other find the same zygote, a forked copy leaves it alone, and it is
    gone at the end.
    """
    done = run_script(KEPT, options=["-W", "ignore"])
    assert ("", 0) == (done.stderr, done.returncode)
    assert not os.path.exists(f"/proc/{done.stdout.strip()}")


@pytest.mark.slow
def test_kept_zygote_dies_with_the_program(run_script: ScriptRunner) -> None:
    """
    A program that ends without a word takes its kept zygote with it, and the workers.
    """
    done = run_script(KEPT, "die", options=["-W", "ignore"])
    assert 0 == done.returncode
    for pid in map(int, done.stdout.split()):
        try:
            pidfd = os.pidfd_open(pid)
        except ProcessLookupError:
            continue
        assert [pidfd] == select.select([pidfd], [], [], 5.0)[0]
        os.close(pidfd)


SHARED = """
import os
from webworker_executor import WebWorkerExecutor

def parent(**options):
    with WebWorkerExecutor(1, launcher="zygote", **options) as executor:
        return executor.submit(os.getppid).result(20)

with WebWorkerExecutor(1, launcher="zygote") as executor:
    first = executor.submit(os.getppid).result(20)
    assert parent() == first
    assert parent(env={"PYTHONHASHSEED": "1"}) != first
assert parent() != first
"""


@pytest.mark.slow
def test_executors_that_are_open_together_share_one(run_script: ScriptRunner) -> None:
    """
    All who say ``"zygote"`` at a time have one process, but for who wants an environment.
    """
    done = run_script(SHARED)
    assert ("", 0) == (done.stderr, done.returncode)


def test_no_interpreter_to_keep(reactor: Reactor, monkeypatch: pytest.MonkeyPatch) -> None:
    """
    When a zygote that is to be kept cannot be started, that is the error, and nothing is left.
    """
    from multiprocessing import spawn

    monkeypatch.setattr(spawn, "_python_exe", "/no/such/python")
    with ZygoteLauncher() as launcher, Peer(launcher, reactor) as peer:
        assert FileNotFoundError is type(peer.outcome)


def test_preloaded_modules_are_there(reactor: Reactor) -> None:
    """
    A worker finds the preloaded modules imported.
    """
    with Peer(ZygoteLauncher(["colorsys"]), reactor) as peer:
        assert peer.ready().run(evaluate, "'colorsys' in sys.modules")
        assert not peer.run(evaluate, "'wave' in sys.modules")


@pytest.mark.parametrize(
    "body", ["raise LookupError('no')", "import no_such_module", "import sys; sys.exit('bye')"]
)
def test_preload_that_fails(
    reactor: Reactor,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capfd: pytest.CaptureFixture[str],
    body: str,
) -> None:
    """
    A module that fails to import is reported and left to the workers; the others are preloaded.
    """
    (tmp_path / "broken_module.py").write_text(body)
    monkeypatch.syspath_prepend(str(tmp_path))
    with Peer(ZygoteLauncher(["broken_module", "colorsys"]), reactor) as peer:
        assert peer.ready().run(evaluate, "'colorsys' in sys.modules")
    assert "webworker zygote: preload of 'broken_module' failed" in capfd.readouterr().err


def test_preload_that_writes_into_the_link(
    reactor: Reactor, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """
    A preloaded module that writes noise where frames belong costs an error, never a hang.
    """
    (tmp_path / "noisy_module.py").write_text("import os; os.write(3, b'noise' * 20)")
    monkeypatch.syspath_prepend(str(tmp_path))
    with Peer(ZygoteLauncher(["noisy_module"]), reactor) as peer:
        assert isinstance(peer.outcome, OSError)
        assert "the zygote (pid" in str(peer.outcome)


def test_preload_must_be_names() -> None:
    """
    One string is told from a list of names at the call.
    """
    with pytest.raises(TypeError, match="not one string"):
        ZygoteLauncher("numpy")
    with pytest.raises(TypeError, match="names of modules, and 3 is none"):
        ZygoteLauncher(preload=["json", 3])  # type: ignore[list-item]  # what is tested
    with pytest.raises(TypeError, match="names of modules, not 3"):
        ZygoteLauncher(preload=3)  # type: ignore[arg-type]  # what is tested


def test_surroundings_travel_with_hello(reactor: Reactor, tmp_path: Path) -> None:
    """
    A worker has the environment and the directory of its own first frame, not the zygote's.
    """
    environ = {**os.environ, "GIVEN": "later"}
    with Peer(ZygoteLauncher(), reactor, environ=None, cwd=str(tmp_path)) as peer:
        assert str(tmp_path) == peer.ready().run(os.getcwd)
    launcher = ZygoteLauncher()
    with Peer(launcher, reactor, say_hello=False) as peer:
        peer.hello(environ=environ)
        assert "later" == peer.ready().run(os.getenv, "GIVEN")


def test_no_interpreter(reactor: Reactor, monkeypatch: pytest.MonkeyPatch) -> None:
    """
    When the zygote itself cannot be started, that is the error.
    """
    from multiprocessing import spawn

    monkeypatch.setattr(spawn, "_python_exe", "/no/such/python")
    with Peer(ZygoteLauncher(), reactor) as peer:
        assert FileNotFoundError is type(peer.outcome)


IN_A_COPY = """
import os, sys
from tests.launch.peer import Peer, Program
from webworker_executor.launch.zygote import ZygoteLauncher
from webworker_executor.web.host import host

launcher = ZygoteLauncher()

def parent_of_worker():
    program = Program()
    reactor, _ = host.acquire(program)
    with Peer(launcher, reactor) as peer:
        answer = peer.ready().run(os.getppid)
    host.release(program)
    return answer

program = Program()
reactor, _ = host.acquire(program)
with Peer(launcher, reactor) as peer:
    mine = peer.ready().run(os.getppid)
    pid = os.fork()
    if pid == 0:
        status = 1
        try:
            status = int(parent_of_worker() == mine)
        finally:
            os._exit(status)
    assert os.waitpid(pid, 0)[1] == 0
    with Peer(launcher, reactor) as other:
        assert other.ready().run(os.getppid) == mine
host.release(program)
"""


@pytest.mark.slow
def test_forked_copy_of_the_program_has_its_own(run_script: ScriptRunner) -> None:
    """
    A launcher that is used in a forked copy of the program starts a zygote there.
    """
    done = run_script(IN_A_COPY, options=["-W", "ignore"])
    assert ("", 0) == (done.stderr, done.returncode)


def test_sys_path_is_the_programs(
    reactor: Reactor, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """
    The zygote finds modules where the program does.
    """
    (tmp_path / "found_by_path.py").write_text("")
    monkeypatch.syspath_prepend(str(tmp_path))
    with Peer(ZygoteLauncher(["found_by_path"]), reactor) as peer:
        assert peer.ready().run(evaluate, "'found_by_path' in sys.modules")
        assert sys.path == peer.run(evaluate, "sys.path")
