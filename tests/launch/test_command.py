"""
Tests of `webworker_executor.launch.command`: any program with a socket on descriptor 3.
"""

from __future__ import annotations

import os
import signal
import sys
from multiprocessing import spawn
from typing import TYPE_CHECKING, Any

import pytest

from webworker_executor.launch.command import start_command
from webworker_executor.launch.limits import Limits, settings
from webworker_executor.launch.stdio import Streams
from webworker_executor.link.fds import socket_pair

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from webworker_executor.link.reactor import Reactor

SECONDS = 20.0


def said_by(
    reactor: Reactor, command: list[str], env: Mapping[str, str] | None = None, **changes: Any
) -> tuple[bytes, int | None]:
    """
    Run a program, and return what it writes to descriptor 3 and how it ends.
    """
    options: dict[str, Any] = {"cwd": None, "limits": None, "nice": 0, "user": None, "group": None}
    own = settings(**{**options, **changes})
    near, far = socket_pair()
    with near:
        with far:
            child = start_command(command, far.fileno(), settings=own, streams=Streams(), env=env)
        child.watch(reactor, lambda: None)
        near.settimeout(SECONDS)
        data = near.makefile("rb").read()
        child.join(SECONDS)
    return data, child.exitcode


def test_a_python_that_the_program_does_not_know(
    reactor: Reactor, monkeypatch: pytest.MonkeyPatch
) -> None:
    """
    Where it is embedded, it is the one that ``multiprocessing`` was told.
    """
    monkeypatch.setattr(spawn, "_python_exe", spawn.get_executable())
    monkeypatch.setattr(sys, "executable", "")
    assert (b"", 0) == said_by(reactor, ["/bin/true"])


def test_a_program_has_its_channel(reactor: Reactor) -> None:
    """
    It writes to descriptor 3, and nothing else of ours is open there.
    """
    code = "import os; os.write(3, ' '.join(sorted(os.listdir('/proc/self/fd'))).encode())"
    data, exitcode = said_by(reactor, [sys.executable, "-S", "-c", code])
    # The fourth is that of the listing.
    assert (b"0 1 2 3 4", 0) == (data, exitcode)


def test_what_is_set_first(reactor: Reactor, tmp_path: Path) -> None:
    """
    Directory, limits and variables are those asked for, signals those of any program.
    """
    code = (
        "import os, resource, signal; os.write(3, repr((os.getcwd(), os.environ['X'], "
        "resource.getrlimit(resource.RLIMIT_NOFILE), os.getpgid(0) == os.getpid())).encode())"
    )
    data, _ = said_by(
        reactor,
        [os.path.basename(sys.executable), "-c", code],
        {"X": "y", "PATH": os.path.dirname(sys.executable)},
        cwd=str(tmp_path),
        limits=Limits(open_files=50),
    )
    assert repr((str(tmp_path), "y", (50, 50), True)) == data.decode()


def test_the_number_of_its_channel(reactor: Reactor, monkeypatch: pytest.MonkeyPatch) -> None:
    """
    It is told its own, not that of this program, unless ``env`` says otherwise.
    """
    monkeypatch.setenv("WEBWORKER_FD", "20")
    tell = ["sh", "-c", "echo $WEBWORKER_FD >&3"]
    assert (b"3\n", 0) == said_by(reactor, tell)
    assert (b"7\n", 0) == said_by(reactor, tell, {"WEBWORKER_FD": "7"})


def test_signals_are_as_they_were(reactor: Reactor) -> None:
    """
    What the small interpreter ignores is not ignored by the program.
    """
    ignored = "grep SigIgn /proc/self/status >&3"
    data, _ = said_by(reactor, ["sh", "-c", ignored])
    mask = int(data.split()[1], 16)
    assert 0 == mask & (1 << (signal.SIGPIPE - 1) | 1 << (signal.SIGINT - 1))


def test_no_such_program(reactor: Reactor, tmp_path: Path) -> None:
    """
    It is told before anything is started.
    """
    for name in ("no-such-program", str(tmp_path / "missing"), str(tmp_path)):
        with pytest.raises(FileNotFoundError, match="there is no program"):
            said_by(reactor, [name])


def test_what_cannot_be_set(
    reactor: Reactor, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    """
    A program that cannot be run as asked for ends with 126, and says why.
    """
    assert (b"", 126) == said_by(reactor, ["/bin/true"], cwd=str(tmp_path / "missing"))
    assert "webworker: cannot run" in capfd.readouterr().err
