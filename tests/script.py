"""
Programs that run in an interpreter of their own, for promises that hold per process.

Not for starting workers: that is the package's work. Whoever changes this must keep the time-out
able to end: a program's own children may hold its output open after it is gone.
"""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING, NoReturn

import webworker_executor

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

PACKAGE_ROOT = Path(next(iter(webworker_executor.__path__))).resolve().parent


class ScriptRunner:
    """
    Runs programs in fresh interpreters that can import the package under test.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def __call__(
        self,
        program: str | Path,
        *arguments: str,
        timeout: float = 30.0,
        options: Sequence[str] = (),
        env: Mapping[str, str] | None = None,
        input: str | None = None,
        cwd: Path | None = None,
    ) -> subprocess.CompletedProcess[str]:
        """
        Run a program to its end.

        Args:
            program: The program's text, or the path of its file.
            arguments: What the program finds in ``sys.argv[1:]``.
            timeout: Seconds until the program and its process group are killed.
            options: Options for the interpreter, such as ``-X dev``.
            env: Variables laid over this process's own.
            input: Text for its standard input, which is empty otherwise.
            cwd: The folder it starts in. A new one for each test otherwise.

        Returns:
            The return code, and what was written to ``stdout`` and ``stderr``.

        Raises:
            pytest.fail.Exception: If the time is over; shows what was written until then.
        """
        if isinstance(program, str):
            path = self._folder / "program.py"
            path.write_text(program, encoding="utf-8")
        else:
            path = program
        command = [sys.executable, *options, str(path), *arguments]
        process = subprocess.Popen(
            command,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            cwd=cwd or self._folder,
            env=_environment(env),
            start_new_session=True,
        )
        with process:
            try:
                stdout, stderr = process.communicate(input, timeout)
            except subprocess.TimeoutExpired:
                _fail_with_output(process, timeout)
        return subprocess.CompletedProcess(command, process.returncode, stdout, stderr)


def _environment(changes: Mapping[str, str] | None) -> dict[str, str]:
    environment = dict(os.environ)
    inherited = environment.get("PYTHONPATH")
    environment["PYTHONPATH"] = os.pathsep.join(filter(None, [str(PACKAGE_ROOT), inherited]))
    environment.update(changes or {})
    return environment


def _fail_with_output(process: subprocess.Popen[str], timeout: float) -> NoReturn:
    # Programs of tests import this module for the root above: the runner would be most of their
    # start.
    import pytest

    os.killpg(process.pid, signal.SIGKILL)
    try:
        stdout, stderr = process.communicate(timeout=20.0)
    except subprocess.TimeoutExpired:
        # A descendant outside the group holds the pipes: closing our ends lets the run go on.
        stdout = stderr = "(held open by a process that outlived the program)"
        for stream in (process.stdin, process.stdout, process.stderr):
            if stream is not None:
                stream.close()
    pytest.fail(f"the program ran for more than {timeout:g} s\nstdout: {stdout}\nstderr: {stderr}")
