"""
The documentation's examples run as they are printed, and print what the pages say.
"""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from tests.script import ScriptRunner

DOCS = Path(__file__).resolve().parents[2] / "docs"
EXAMPLES = sorted((DOCS / "examples").glob("*.py"))
# The whole standard library takes a minute of a processor: `tox -e docs` counts it, and one package
# will do on each interpreter.
ARGUMENTS = {"stdlib_census": [str(Path(asyncio.__file__).parent)]}

pytestmark = pytest.mark.slow


@pytest.mark.parametrize("example", EXAMPLES, ids=lambda path: path.stem)
def test_runs(run_script: ScriptRunner, example: Path) -> None:
    """
    An example ends, says nothing on stderr, and prints what its ``.out`` holds.
    """
    done = run_script(example, *ARGUMENTS.get(example.stem, []))
    assert "" == done.stderr
    assert 0 == done.returncode
    output = example.with_suffix(".out")
    if output.exists():
        assert output.read_text() == done.stdout


@pytest.mark.parametrize("example", EXAMPLES, ids=lambda path: path.stem)
def test_is_shown(example: Path) -> None:
    """
    An example stands in a page, and so does its output.
    """
    pages = "\n".join(page.read_text() for page in [*DOCS.rglob("*.md"), *DOCS.glob("../*.md")])
    assert example.name in pages
    output = example.with_suffix(".out")
    assert not output.exists() or output.name in pages


def test_every_output_has_its_example() -> None:
    """
    No output stays when its example is gone.
    """
    stems = {path.stem for path in EXAMPLES}
    assert [] == [path.name for path in DOCS.glob("examples/*.out") if path.stem not in stems]
