"""
The reference pages say what the code says, where it is told twice.
"""

from __future__ import annotations

import inspect
import re
from pathlib import Path
from types import FunctionType
from typing import Any

import pytest

import webworker_executor
from webworker_executor.observe import KINDS
from webworker_executor.rules.machine import Table, diagram
from webworker_executor.rules.script import SCRIPT_TABLE
from webworker_executor.rules.stage import POOL_TABLE
from webworker_executor.rules.task import TASK_TABLE
from webworker_executor.rules.worker import WORKER_TABLE
from webworker_executor.wire.kinds import FROM_SCRIPT, FROM_WORKER, NAMES, TO_WORKER

REFERENCE = Path(__file__).parents[2] / "docs" / "reference"
# What other modules of the package call, and users do not.
INNER = {
    "Conversation": {
        "items", "arrive", "be_stream", "stop_at_end", "begun", "taken_back", "release", "say",
    },
    "ExecutorView": {"worker", "finalizer"},
    "Launcher": {
        "name", "starts_all_at_once", "shares_memory", "passes_surroundings",
        "open", "launch", "close",
    },
    "Limits": {"rlimits"},
    "Reply": {"settle"},
    "RunningTask": {"tell_of_timeout"},
    "WorkerOutcome": {"settle", "then", "disown"},
    "ZygoteLauncher": {"open", "launch", "close"},
}  # fmt: skip


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
    assert {*listed, *errors, "__version__"} == set(vars(webworker_executor)["__all__"])


CLASSES = {
    name: value
    for name in webworker_executor._HOMES
    if inspect.isclass(value := getattr(webworker_executor, name))
    and not issubclass(value, BaseException)
}


@pytest.mark.parametrize("name", CLASSES)
def test_members_of_public_classes(name: str) -> None:
    """
    Each method, property and handler of a class is shown, those inherited in the package as well.

    In the directive of the class, in the attributes of its docstring, or, where the directive says
    what the class comes from, with that.
    """
    members = members_of(CLASSES[name])
    missing = set(members) - shown_members(name, members) - INNER.get(name, set())
    assert set() == missing
    assert set() == INNER.get(name, set()) - set(members)


def members_of(cls: type) -> dict[str, type]:
    """
    Find the public members that are no plain values, and which class of the package has each.
    """
    members: dict[str, type] = {}
    for base in cls.__mro__:
        if base.__module__.startswith("webworker_executor."):
            for name, value in vars(base).items():
                if not name.startswith("_") and is_member(value):
                    members.setdefault(name, base)
    return members


def is_member(value: Any) -> bool:
    """
    Whether a value of a class is a method, a property or a handler, and no field or constant.
    """
    return isinstance(value, (FunctionType, staticmethod, classmethod, property)) or (
        hasattr(type(value), "__set_name__") and hasattr(type(value), "__get__")
    )


def shown_members(name: str, members: dict[str, type]) -> set[str]:
    """
    Read which of them the reference shows.
    """
    page = (REFERENCE / "api.md").read_text()
    directive = re.search(
        rf"^\.\. autoclass:: webworker_executor\.{name}$((?:\n+ +\S.*)*)", page, re.MULTILINE
    )
    assert directive is not None
    options = dict(re.findall(r"^ +:([\w-]+):(.*)$", directive[1], re.MULTILINE))
    shown = {text.strip() for text in options.get("members", "").split(",")}
    for member, home in members.items():
        if options.get("members") == "" and (
            home is CLASSES[name] or "inherited-members" in options
        ):
            shown.add(member)
        if "show-inheritance" in options and home in CLASSES.values() and home.__name__ != name:
            shown.add(member)
    attributes = inspect.getdoc(CLASSES[name]) or ""
    if "Attributes:" in attributes:
        shown |= set(re.findall(r"^    (\w+): ", attributes.split("Attributes:")[1], re.MULTILINE))
    return shown
