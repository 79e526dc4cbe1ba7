"""
README's programs run as they are printed, and print what it says.
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from tests.script import ScriptRunner

README = Path(__file__).resolve().parents[2] / "README.md"
BLOCKS = re.findall(r"^```(python|text)\n(.*?)^```$", README.read_text(), re.MULTILINE | re.DOTALL)
PROGRAMS = [text for kind, text in BLOCKS if kind == "python"]
OUTPUTS = [text for kind, text in BLOCKS if kind == "text"]
SQUARES, CRASH, PRICES, TALK = PROGRAMS

pytestmark = pytest.mark.slow


def plain(text: str) -> str:
    """What a program wrote, without folders, numbers of processes, marks and line ends."""
    text = re.sub(r'(?<=File ")[^"]*/(?=[^/"]*")', "", text)
    text = re.sub(r"^[ ~^]+$", "", text, flags=re.MULTILINE)
    return " ".join(re.sub(r"pid \d+", "pid N", text).split())


def is_shown_in(output: str, written: str) -> bool:
    """Whether what README shows was written in that order; ``...`` stands for anything."""
    parts = [re.escape(plain(part)) for part in re.split(r"^ *\.\.\.$", output, flags=re.MULTILINE)]
    return re.fullmatch(".*".join(parts), plain(written)) is not None


def test_the_first_program(run_script: ScriptRunner) -> None:
    """
    It prints squares.
    """
    done = run_script(SQUARES)
    assert ("", [str(n * n) for n in range(10)]) == (done.stderr, done.stdout.split())


@pytest.mark.parametrize(("program", "output"), list(zip([CRASH, PRICES], OUTPUTS, strict=True)))
def test_programs_that_fail(
    run_script: ScriptRunner, tmp_path: Path, program: str, output: str
) -> None:
    """
    A crash, and an exception: what stands below them is what they write.
    """
    path = tmp_path / "prices.py"
    path.write_text(program)
    done = run_script(path)
    written = done.stdout + done.stderr
    assert is_shown_in(output, written), written
    assert not is_shown_in(output.replace("r", "R"), written)


def test_the_program_that_talks(run_script: ScriptRunner) -> None:
    """
    It prints what its comments say.
    """
    done = run_script(TALK)
    ready, go, primes, counter = done.stdout.splitlines()
    assert "" == done.stderr
    assert f"# {ready}\n" in TALK
    assert f"# {go}\n" in TALK
    assert ([2, 3, 5, 7, 11, 13, 17, 19], "2 42") == (eval(primes), counter)
