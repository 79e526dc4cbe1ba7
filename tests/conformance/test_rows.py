"""The table is whole: its rows and the scenarios are the same."""

from __future__ import annotations

import importlib
import inspect
import re
from collections import Counter

import pytest

from webworker_executor.conformance.row import Row, Verdict
from webworker_executor.conformance.rows import ROWS

MODULES = sorted({row.module for row in ROWS})


@pytest.mark.parametrize("name", MODULES)
def test_each_scenario_has_its_row(name: str) -> None:
    """Each public function of a module of scenarios is asked, and each row has its function."""
    module = importlib.import_module(f"webworker_executor.conformance.{name}")
    scenarios = [
        key
        for key, value in vars(module).items()
        if inspect.isfunction(value)
        and value.__module__ == module.__name__
        and not key.startswith("_")
    ]
    assert sorted(scenarios) == sorted(row.name for row in ROWS if row.module == name)


def test_names_and_titles_are_unique() -> None:
    """A row can be asked for by its name, and found by its title."""
    for texts in ([row.name for row in ROWS], [row.title for row in ROWS]):
        assert [1] * len(ROWS) == list(Counter(texts).values())


@pytest.mark.parametrize("row", ROWS, ids=lambda row: row.name)
def test_no_row_accepts_a_fault(row: Row) -> None:
    """A hang, a failure and a silence are never as good as expected."""
    for outcome in ("hangs", "caller hangs", "fails: exit 1", "", "tasks do not start"):
        assert row.judge(outcome) in (Verdict.HANGS, Verdict.BROKEN)


@pytest.mark.parametrize("row", [row for row in ROWS if row.accepts], ids=lambda row: row.name)
def test_patterns_are_whole(row: Row) -> None:
    """A pattern stands for the words beside it: their ends agree."""
    tail = row.expected.rpartition(", ")[2]
    if tail in ("pool usable", "nobody left"):
        assert row.accepts.endswith(tail)
    re.compile(row.accepts)
