"""
Tests of `webworker_executor.wire.kinds`: each kind has one number, one name, and somebody to go to.
"""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from webworker_executor.wire import kinds
from webworker_executor.wire.decoder import FrameDecoder, MalformedFrame
from webworker_executor.wire.frame import encode
from webworker_executor.wire.kinds import FROM_SCRIPT, FROM_WORKER, NAMES, TO_WORKER

PAGE = Path(__file__).parents[2] / "docs" / "reference" / "frames.md"


def test_a_kind_is_called_what_its_constant_is() -> None:
    """
    And no two of them have the same number.
    """
    assert NAMES == {getattr(kinds, name): name for name in NAMES.values()}


def test_every_kind_goes_somewhere() -> None:
    """
    No side takes one that has no name, and there is none that nobody takes.
    """
    assert set(NAMES) == TO_WORKER | FROM_WORKER | FROM_SCRIPT


@pytest.mark.parametrize("taken", [TO_WORKER, FROM_WORKER, FROM_SCRIPT])
def test_what_does_not_go_to_a_side_is_malformed_there(taken: frozenset[int]) -> None:
    """
    A worker is told at once that its host takes it for something else, and the other way round.
    """
    for kind in set(NAMES) - taken:
        with pytest.raises(MalformedFrame):
            FrameDecoder(taken).feed(b"".join(encode(kind, 1)))


def test_the_page_lists_them_all() -> None:
    """
    By number and name, and to whom each goes.
    """
    rows = re.findall(
        r"^\| `(0x..)` \| ([A-Z_]+) \| (\w+) \|", PAGE.read_text("utf-8"), re.MULTILINE
    )
    to_host = FROM_WORKER | FROM_SCRIPT
    sides = {
        number: "both"
        if number in TO_WORKER & to_host
        else "host"
        if number in to_host
        else "worker"
        for number in NAMES
    }
    listed = {
        int(number, 16): (name, side) for number, name, side in rows if name in NAMES.values()
    }
    assert listed == {number: (name, sides[number]) for number, name in NAMES.items()}
