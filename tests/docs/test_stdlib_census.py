"""
The census: what it counts, what it survives, and that workers change nothing.

The standard library itself is counted in ``test_examples``, which runs every example.
"""

from __future__ import annotations

import importlib.util
import os
import pty
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from tests.script import PACKAGE_ROOT

if TYPE_CHECKING:
    from io import FileIO

    from tests.script import ScriptRunner

CENSUS = Path(__file__).parents[2] / "docs" / "examples" / "stdlib_census.py"

MODULE = """\
class Shop:
    async def sell(self):
        try:
            if self.open:
                return 1
            elif self.late:
                return 2
        except KeyError:
            return "\\d"


def close():
    match 1:
        case 2:
            pass
"""


@pytest.fixture(scope="module")
def census() -> Any:
    """
    Load the example as a module, without running it.
    """
    spec = importlib.util.spec_from_file_location("stdlib_census", CENSUS)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """
    Make a folder with two packages, a broken file, a link to nowhere and a foreign folder.
    """
    root = tmp_path / "library"
    for package in ("shop", "site-packages", "empty"):
        (root / package).mkdir(parents=True)
    (root / "shop" / "till.py").write_text(MODULE)
    (root / "site-packages" / "foreign.py").write_text(MODULE)
    (root / "empty" / "__init__.py").touch()
    (root / "broken.py").write_text("print 1\n")
    (root / "lost.py").symlink_to(root / "nowhere.py")
    return root


def test_survey_counts_one_module(census: Any, folder: Path) -> None:
    """
    Lines, functions and classes are counted; `elif` and `except` stand no deeper.
    """
    expected = census.Counts(lines=15, functions=2, classes=1, nesting=4, longest=(8, "till.sell"))
    assert expected == census.survey(folder / "shop" / "till.py")


def test_survey_reports_what_it_cannot_read(census: Any, folder: Path) -> None:
    """
    A file that is no module, or cannot be opened, is a result and not an exception.
    """
    reasons = [census.survey(folder / name).reason for name in ("broken.py", "lost.py")]
    assert ["SyntaxError", "FileNotFoundError"] == [reason.partition(":")[0] for reason in reasons]


def test_survey_does_not_wait_for_a_pipe(census: Any, folder: Path) -> None:
    """
    A pipe may have a module's name, and nobody who writes into it.
    """
    os.mkfifo(folder / "pipe.py")
    assert census.Unparsed("OSError: not a regular file") == census.survey(folder / "pipe.py")


@pytest.mark.slow
def test_census_of_a_folder(run_script: ScriptRunner, folder: Path) -> None:
    """
    Another folder is taken as argument; both runs agree; nothing is written to stderr.
    """
    os.mkfifo(folder / "pipe.py")
    done = run_script(CENSUS, str(folder))
    assert (0, "") == (done.returncode, done.stderr)
    lines = done.stdout.splitlines()
    assert "parses 5 modules" in lines[0]
    assert ["workers  5 of 5 files"] == [line for line in lines if line.startswith("workers  5")]
    assert ["shop", "15", "2", "1", "4", "till.sell,", "8", "lines"] in [
        line.split() for line in lines
    ]
    assert 3 == sum(line.startswith("not parsed: ") for line in lines)
    assert "Both runs agree." == lines[-1]


@pytest.mark.parametrize("n_files", [1, 3, 4, 5, 99, 1726])
def test_progress_in_four_lines(
    census: Any, capsys: pytest.CaptureFixture[str], n_files: int
) -> None:
    """
    Where there is no terminal four lines are printed, however many files there are to round.
    """
    progress = census.Progress("workers", n_files)
    for _ in range(n_files):
        progress.step("")
    lines = capsys.readouterr().out.splitlines()
    assert min(4, n_files) == len(lines)
    assert f"workers  {n_files:,} of {n_files:,} files" == lines[-1]


@pytest.mark.slow
def test_census_on_a_terminal(folder: Path) -> None:
    """
    On a terminal the progress is one line that is rewritten, and ends with the time.
    """
    host_end, program_end = pty.openpty()
    command = [sys.executable, str(CENSUS), str(folder)]
    environment = {**os.environ, "PYTHONPATH": str(PACKAGE_ROOT)}
    with (
        os.fdopen(host_end, "rb", buffering=0) as terminal,
        subprocess.Popen(command, stdout=program_end, env=environment) as program,
    ):
        os.close(program_end)
        written = b"".join(iter(lambda: read(terminal), b"")).decode()
    assert program.returncode == 0
    assert f"\r\x1b[Kworkers  {'━' * 24}" in written
    assert "of 4 files" not in written


def read(terminal: FileIO) -> bytes:
    """
    Read what a program wrote on a terminal; the end of a terminal is an error to Linux.
    """
    try:
        return terminal.read(4096) or b""
    except OSError:
        return b""


@pytest.mark.slow
def test_census_of_an_empty_folder(run_script: ScriptRunner, tmp_path: Path) -> None:
    """
    A folder without Python files is said to be so, in one line and with exit status 1.
    """
    done = run_script(CENSUS, str(tmp_path))
    assert (1, f"There are no Python files in {tmp_path}.\n") == (done.returncode, done.stderr)
