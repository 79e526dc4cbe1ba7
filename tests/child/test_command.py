"""
Tests of `webworker_executor.child.command`: the moment before a foreign program.
"""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

from webworker_executor.launch.limits import settings

ROOT = str(Path(__file__).parents[2])


def become(command: list[str], host: int | None = None) -> subprocess.CompletedProcess[str]:
    """
    Run an interpreter that becomes a program.
    """
    own = dict(settings(cwd="/", limits=None, nice=0, user=None, group=None))
    host = os.getpid() if host is None else host
    code = (
        f"import sys; sys.path.insert(0, {ROOT!r}); "
        f"from webworker_executor.child.command import main; main({host}, {command!r}, {own!r})"
    )
    return subprocess.run(
        [sys.executable, "-I", "-S", "-c", code],
        capture_output=True,
        text=True,
        timeout=20,
        check=False,
    )


def test_it_becomes_the_program() -> None:
    """
    Name, arguments and directory are the program's.
    """
    done = become(["/bin/sh", "my-shell", "-c", "echo $0 $PWD"])
    assert (0, "my-shell /\n", "") == (done.returncode, done.stdout, done.stderr)


def test_what_is_no_program() -> None:
    """
    It ends as a shell would, with 126, and says which file it was.
    """
    done = become(["/etc/hostname", "x"])
    assert 126 == done.returncode
    assert "webworker: cannot run /etc/hostname" in done.stderr


def test_a_host_that_is_gone_already() -> None:
    """
    A process whose host died while it started does not become anything.
    """
    done = become(["/bin/echo", "echo", "alive"], host=1)
    assert (1, "") == (done.returncode, done.stdout)
