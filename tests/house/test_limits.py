"""
Limits on the form of the source that neither the formatter nor the type checker holds.
"""

from __future__ import annotations

import ast
import re
from typing import TYPE_CHECKING

import pytest

from tests.house.layout import PACKAGE, ROOT, modules_of

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

# The aims are 300 and 40; what is beyond these says that two things stand in one.
MAX_MODULE_LINES = 400
MAX_FUNCTION_LINES = 60
# Written so that this file does not find itself.
MARKERS = re.compile(r"\b(TO[D]O|FIX[M]E|XX[X])\b")
MACHINE_PATH = re.compile(r"/(?:home|root|work|Users)/\w")
PAGE = re.compile(r"[\w-]+\.md\b")
FOREIGN_PAGES = {"locations.md"}  # CPython's Objects/locations.md.

modules = pytest.mark.parametrize("module", modules_of(PACKAGE), ids=str)


def texts() -> list[Path]:
    """
    List every text that belongs to the project.
    """
    found = [path for path in ROOT.iterdir() if path.is_file() and path.name != ".git"]
    for folder in ("webworker_executor", "tests", "docs", "changelog.d", ".ci"):
        found += [path for path in (ROOT / folder).rglob("*") if path.is_file()]
    skipped = {"__pycache__", "_build"}
    return sorted(
        path
        for path in found
        if not skipped & set(path.parts) and not path.name.startswith(".coverage")
    )


def lines() -> Iterator[tuple[str, str]]:
    """
    Yield every line of every text, after the place where it stands.
    """
    for path in texts():
        try:
            found = path.read_text(encoding="utf-8").splitlines()
        except UnicodeDecodeError:
            continue  # A picture, say.
        name = path.relative_to(ROOT)
        for number, line in enumerate(found, 1):
            yield f"{name}:{number}", line


@modules
def test_modules_are_short(module: Path) -> None:
    """
    A module holds one noun, and fits into a head.
    """
    assert len((PACKAGE / module).read_text().splitlines()) <= MAX_MODULE_LINES


@modules
def test_functions_are_short(module: Path) -> None:
    """
    A function has one level of meaning; its docstring does not count.
    """
    too_long = {}
    for node in ast.walk(ast.parse((PACKAGE / module).read_text())):
        if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef)):
            has_docstring = ast.get_docstring(node) is not None
            body = node.body[1:] if has_docstring else node.body
            n_lines = (body[-1].end_lineno or 0) - body[0].lineno + 1 if body else 0
            if n_lines > MAX_FUNCTION_LINES:
                too_long[node.name] = n_lines
    assert {} == too_long


@modules
def test_modules_say_what_they_are_for(module: Path) -> None:
    """
    A module opens with a docstring, unless it is empty.
    """
    tree = ast.parse((PACKAGE / module).read_text())
    assert not tree.body or ast.get_docstring(tree)


@modules
def test_nothing_prints(module: Path) -> None:
    """
    Nothing prints by chance: what has something to say on a terminal names the stream.
    """
    calls = [
        node.lineno
        for node in ast.walk(ast.parse((PACKAGE / module).read_text()))
        if isinstance(node, ast.Call)
        and isinstance(node.func, ast.Name)
        and node.func.id == "print"
    ]
    assert [] == calls


@pytest.mark.parametrize(
    "pattern", [MARKERS, MACHINE_PATH], ids=["notes to oneself", "paths of a machine"]
)
def test_texts_are_finished(pattern: re.Pattern[str]) -> None:
    """
    No text of the project holds a note to oneself or a path of the machine it was written on.
    """
    assert [] == [f"{place}: {line.strip()}" for place, line in lines() if pattern.search(line)]


def test_pages_that_are_named_exist() -> None:
    """
    A text names no page that a reader of the repository cannot open.
    """
    known = FOREIGN_PAGES | {path.name for path in texts()}
    assert [] == [
        f"{place}: {name}"
        for place, line in lines()
        for name in PAGE.findall(line)
        if name not in known
    ]
