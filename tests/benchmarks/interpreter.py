"""
One measurement, seen from outside: a fresh interpreter is started, limited and cleared away.

Not for what happens inside: see ``measure``. Whoever changes this must keep the output in files: a
pool's helper that outlives its program would hold a pipe open.
"""

from __future__ import annotations

import compileall
import json
import os
import shutil
import subprocess
import sys
from pathlib import Path
from signal import SIGKILL
from tempfile import TemporaryDirectory
from typing import NamedTuple

from tests.benchmarks.session import end_session

ROOT = Path(__file__).resolve().parents[2]

# A pool's helper has so long to tidy up when the program is gone.
_GRACE = 3.0


class Outcome(NamedTuple):
    """What came of one measurement: figures by metric, and why there are no more of them."""

    figures: dict[str, float]
    reason: str = ""
    is_final: bool = False
    """Whether trying again would be in vain."""


def copy_sources(folder: Path) -> None:
    """
    Copy the package and what measures it: someone may work on them while a comparison runs.

    Args:
        folder: Where to, an empty one.
    """
    for name in ("webworker_executor", "tests"):
        shutil.copytree(ROOT / name, folder / name, ignore=shutil.ignore_patterns("__pycache__"))
    # Otherwise the first to import a module would pay for compiling it.
    for name in ("webworker_executor", "tests/benchmarks", "tests/dropin"):
        compileall.compile_dir(folder / name, quiet=2)


def measure(
    workload: str, contender: str, time_limit: float, *, quick: bool, sources: Path = ROOT
) -> Outcome:
    """
    Measure a workload for a contender in a fresh interpreter.

    Args:
        workload: Its name.
        contender: Its name.
        time_limit: Seconds until the interpreter and whatever it has started are killed.
        quick: Whether small sizes will do.
        sources: Where the package is, and what measures it.

    Returns:
        The figures that came until the end or the time limit.
    """
    command = [sys.executable, "-m", "tests.benchmarks.measure", workload, contender]
    with TemporaryDirectory(prefix="compare-") as folder:
        output, errors = Path(folder, "output"), Path(folder, "errors")
        with output.open("wb") as stdout, errors.open("wb") as stderr:
            process = subprocess.Popen(
                [*command, "--quick"] if quick else command,
                stdin=subprocess.DEVNULL,
                stdout=stdout,
                stderr=stderr,
                cwd=sources,
                env=_environment(sources, folder),
                start_new_session=True,
            )
            ending = _wait(process, time_limit)
        outcome = read_outcome(output.read_text(), errors.read_text(errors="replace"), ending)
        return outcome._replace(is_final=True) if process.returncode == -SIGKILL else outcome


def read_outcome(output: str, errors: str, ending: str) -> Outcome:
    """
    Read what a measured interpreter wrote.

    Args:
        output: Lines of JSON; a line may be cut off, and pools may write lines of their own.
        errors: Its standard error.
        ending: How it ended, if not by itself and well.
    """
    figures: dict[str, float] = {}
    reason, is_unable = None, False
    for line in output.splitlines():
        try:
            entry = json.loads(line)
        except ValueError:
            continue
        if isinstance(entry, dict) and "key" in entry:
            figures[entry["key"]] = entry["value"]
        elif isinstance(entry, dict):
            reason, is_unable = entry.get("reason"), entry.get("is_unable", False)
    if reason is None:
        # It never came to its last line.
        last_words = errors.strip().rpartition("\n")[2]
        reason = ": ".join(filter(None, [ending or "ended early", last_words]))
    return Outcome(figures, reason, is_unable and not figures)


def _wait(process: subprocess.Popen[bytes], time_limit: float) -> str:
    grace = 0.0
    try:
        returncode = process.wait(time_limit)
        grace = _GRACE
    except subprocess.TimeoutExpired:
        return f"took more than {time_limit:g} s"
    finally:
        # Ctrl-C comes through here, too.
        if process.returncode is None:
            process.kill()
        end_session(process.pid, grace)
        process.wait()
    return f"exit status {returncode}" if returncode else ""


def _environment(sources: Path, folder: str) -> dict[str, str]:
    inherited = os.environ.get("PYTHONPATH")
    return {
        **os.environ,
        "PYTHONPATH": os.pathsep.join(filter(None, [str(sources), inherited])),
        "TMPDIR": folder,
        # Some contenders fork a process with threads, as their users do.
        "PYTHONWARNINGS": "ignore",
        # Threads of a numerical library would be measured along.
        "OPENBLAS_NUM_THREADS": "1",
        "OMP_NUM_THREADS": "1",
        "MKL_NUM_THREADS": "1",
    }
