"""
Tests of `webworker_executor.web.location`: an address in parts.
"""

from __future__ import annotations

import os
import pickle
from typing import TYPE_CHECKING

import pytest

from webworker_executor.web import location
from webworker_executor.web.location import WorkerLocation, be_in, whole_path

if TYPE_CHECKING:
    from pathlib import Path

PARTS = ("protocol", "host", "hostname", "port", "pathname", "search", "hash", "origin", "path")


@pytest.mark.parametrize(
    ("href", "parts"),
    [
        (
            "file:///srv/a%20b.py?x=1#h",
            ("file:", "", "", "", "/srv/a%20b.py", "?x=1", "#h", "null", "/srv/a b.py"),
        ),
        (
            "ws://box:81/w",
            ("ws:", "box:81", "box", "81", "/w", "", "", "ws://box:81", "/w"),
        ),
        ("about:worker%3A3", ("about:", "", "", "", "worker%3A3", "", "", "null", "worker:3")),
    ],
)
def test_parts(href: str, parts: tuple[str, ...]) -> None:
    """
    The parts are those of the URL standard.
    """
    location = WorkerLocation(href)
    assert parts == tuple(getattr(location, name) for name in PARTS)
    assert (href, href, f"<WorkerLocation {href}>") == (
        location.href,
        str(location),
        repr(location),
    )


def test_it_cannot_be_changed() -> None:
    """
    A location is a value: equal to its like, and what it is.
    """
    location = WorkerLocation("file:///a")
    with pytest.raises(AttributeError, match="cannot be changed"):
        location.href = "file:///b"  # type: ignore[misc]  # what is tested
    assert location == pickle.loads(pickle.dumps(location))
    assert {location} == {WorkerLocation("file:///a")}
    assert location != "file:///a"


def test_what_lies_beside_a_script(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """
    A file there goes before one in the current directory; where there is none, nothing changes.
    """
    folder, here = tmp_path / "folder", tmp_path / "here"
    for each in (folder, here):
        each.mkdir()
        (each / "both.py").touch()
    (folder / "beside.py").touch()
    monkeypatch.chdir(here)
    monkeypatch.setattr(location, "_folder", None)
    assert str(here / "both.py") == whole_path("both.py")
    be_in(str(folder))
    assert str(folder / "both.py") == whole_path("both.py")
    assert str(folder / "beside.py") == whole_path("../folder/beside.py")
    assert str(here / "none.py") == whole_path("none.py")
    assert str(here / "both.py") == whole_path(str(here / "both.py"))


def test_a_copy_of_the_process_has_no_script(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """
    A worker that is forked from one runs what it is given.
    """
    monkeypatch.setattr(location, "_folder", (os.getpid() + 1, str(tmp_path)))
    (tmp_path / "beside.py").touch()
    assert os.path.abspath("beside.py") == whole_path("beside.py")
