"""
Tests of `webworker_executor.web.location`: an address in parts.
"""

from __future__ import annotations

import pickle

import pytest

from webworker_executor.web.location import WorkerLocation

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
