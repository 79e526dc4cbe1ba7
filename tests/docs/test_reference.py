"""
The reference pages say what the code says, where it is told twice.
"""

from __future__ import annotations

import re
from pathlib import Path

import pytest

import webworker_executor
from webworker_executor.observe import KINDS
from webworker_executor.rules.machine import Table, diagram
from webworker_executor.rules.script import SCRIPT_TABLE
from webworker_executor.rules.stage import POOL_TABLE
from webworker_executor.rules.task import TASK_TABLE
from webworker_executor.rules.worker import WORKER_TABLE
from webworker_executor.wire.frame import FROM_SCRIPT, FROM_WORKER, NAMES, TO_WORKER

REFERENCE = Path(__file__).parents[2] / "docs" / "reference"


@pytest.mark.parametrize(
    "table",
    [TASK_TABLE, WORKER_TABLE, POOL_TABLE, SCRIPT_TABLE],
    ids=["task", "worker", "pool", "script"],
)
def test_states(table: Table) -> None:
    """
    The diagrams are those of the tables.
    """
    assert f"```text\n{diagram(table)}```" in (REFERENCE / "states.md").read_text()


def test_kinds_of_frames() -> None:
    """
    Every kind of frame is listed with its number, its name and the side that it goes to.
    """
    page = (REFERENCE / "frames.md").read_text()
    sides = {(True, True): "both", (True, False): "worker", (False, True): "host"}
    expected = [
        (f"0x{kind:02x}", name, sides[kind in TO_WORKER, kind in FROM_WORKER | FROM_SCRIPT])
        for kind, name in NAMES.items()
    ]
    assert expected == re.findall(
        r"^\| `(0x..)` \| (\w+) \| (both|worker|host) \|", page, re.MULTILINE
    )


def test_kinds_of_events() -> None:
    """
    Every kind of event that observers get has its row, with its logger and its levels.
    """
    page = (REFERENCE / "observing.md").read_text()
    rows = re.findall(
        r"^\| `(\w+)` \| `webworker_executor\.pool\.\w+` \| [A-Z]+", page, re.MULTILINE
    )
    assert sorted(KINDS) == sorted(rows)


def test_public_names() -> None:
    """
    What the page lists stands in the root, as it says, and what stands there is listed.
    """
    page = (REFERENCE / "api.md").read_text()
    listed = re.findall(r"^\.\. \S+:: webworker_executor\.([\w.]+)$", page, re.MULTILINE)
    # Of errors, a whole module is shown.
    listed.remove("errors")
    errors = {name for name, home in webworker_executor._HOMES.items() if home == "errors"}
    assert {*listed, *errors, "__version__"} == set(webworker_executor.__all__)
