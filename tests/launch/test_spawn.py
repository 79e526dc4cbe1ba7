"""
Tests of `webworker_executor.launch.spawn`: a fresh interpreter, whatever the program looks like.
"""

from __future__ import annotations

import os
import signal
import sys
from multiprocessing import spawn
from typing import TYPE_CHECKING

from tests.launch.peer import Peer
from tests.launch.test_launcher import evaluate
from webworker_executor.launch.spawn import SpawnLauncher

if TYPE_CHECKING:
    from pathlib import Path

    import pytest

    from tests.script import ScriptRunner
    from webworker_executor.link.reactor import Reactor


def test_links_stand_at_their_places(reactor: Reactor) -> None:
    """
    The data link is descriptor 3 and the control link 4, as in every worker of a new program.
    """
    with Peer(SpawnLauncher(), reactor) as peer:
        peer.ready()
        assert [True, True] == [
            peer.run(os.readlink, f"/proc/self/fd/{fd}").startswith("socket:") for fd in (3, 4)
        ]


def test_environment_that_was_given(reactor: Reactor) -> None:
    """
    A worker has exactly the environment of its specification.
    """
    environ = {**os.environ, "GIVEN": "yes"}
    with Peer(SpawnLauncher(), reactor, environ=environ) as peer:
        assert "yes" == peer.ready().run(os.getenv, "GIVEN")
    assert "GIVEN" not in os.environ


def test_file_of_the_directory_is_no_library(
    reactor: Reactor, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """
    A `socket.py` or `mmap.py` that lies about does not stand in for the standard library's.
    """
    for name in ("codecs", "collections", "mmap", "socket", "struct", "traceback"):
        (tmp_path / f"{name}.py").write_text("raise SystemExit('not the library')")
    monkeypatch.chdir(tmp_path)
    with Peer(SpawnLauncher(), reactor) as peer:
        assert 4 == peer.ready().run(evaluate, "2 + 2")


def test_deleted_directory(
    reactor: Reactor, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """
    A program whose directory is gone can start workers.
    """
    gone = tmp_path / "gone"
    gone.mkdir()
    monkeypatch.chdir(gone)
    gone.rmdir()
    with Peer(SpawnLauncher(), reactor) as peer:
        assert 4 == peer.ready().run(evaluate, "2 + 2")


def test_interpreter_that_is_not_there(reactor: Reactor, monkeypatch: pytest.MonkeyPatch) -> None:
    """
    What the kernel says to a missing interpreter is told, and nothing is left.
    """
    monkeypatch.setattr(spawn, "_python_exe", "/no/such/python")
    with Peer(SpawnLauncher(), reactor) as peer:
        assert FileNotFoundError is type(peer.outcome)


def test_interpreter_that_is_not_known(reactor: Reactor, monkeypatch: pytest.MonkeyPatch) -> None:
    """
    An embedded Python is told that no interpreter is known.
    """
    monkeypatch.setattr(spawn, "_python_exe", "")
    monkeypatch.setattr(sys, "executable", "")
    with Peer(SpawnLauncher(), reactor) as peer:
        assert FileNotFoundError is type(peer.outcome)
        assert "no interpreter for the workers" in str(peer.outcome)


def test_signals_are_as_a_program_expects_them(reactor: Reactor) -> None:
    """
    What the program ignores or blocks is neither ignored nor blocked in a worker.
    """
    before = signal.signal(signal.SIGTERM, signal.SIG_IGN)
    blocked = signal.pthread_sigmask(signal.SIG_BLOCK, [signal.SIGUSR1])
    try:
        with Peer(SpawnLauncher(), reactor) as peer:
            peer.ready()
            assert signal.SIG_DFL == peer.run(signal.getsignal, signal.SIGTERM)
            assert set() == peer.run(signal.pthread_sigmask, signal.SIG_BLOCK, [])
    finally:
        signal.signal(signal.SIGTERM, before)
        signal.pthread_sigmask(signal.SIG_SETMASK, blocked)


WITHOUT_STREAMS = """
import os, sys
answer = os.open("answer", os.O_WRONLY | os.O_CREAT)
os.dup2(answer, 50)
os.closerange(0, 3)
os.close(answer) if answer > 2 else None
from tests.launch.peer import Peer, Program
from webworker_executor.launch.spawn import SpawnLauncher
from webworker_executor.web.host import host
program = Program()
reactor, _ = host.acquire(program)
with Peer(SpawnLauncher(), reactor) as peer:
    os.write(50, repr(peer.ready().run(divmod, 7, 2)).encode())
host.release(program)
"""


def test_program_without_standard_streams(run_script: ScriptRunner, tmp_path: Path) -> None:
    """
    A program that has closed 0 to 2, as a daemon does, can start workers.
    """
    done = run_script(WITHOUT_STREAMS)
    assert ("(3, 1)", 0) == ((tmp_path / "answer").read_text(), done.returncode)
