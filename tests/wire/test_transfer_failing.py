"""
Tests of `webworker_executor.wire.transfer`: what happens to a parcel when packing fails.
"""

from __future__ import annotations

import threading
from pickle import PicklingError

import pytest

from webworker_executor.wire import codec
from webworker_executor.wire.transfer import Parcel, current_parcel


class Moving:
    """Tells its parcel what to do when it is given up, or not."""

    def __init__(self, story: list[str]) -> None:
        self.story = story

    def __reduce__(self) -> tuple[type[str], tuple[str]]:
        parcel = current_parcel()
        if parcel is None:
            raise PicklingError("needs a parcel")
        parcel.add(object())
        parcel.commits.append(lambda: self.story.append("given up"))
        parcel.rollbacks.append(lambda: self.story.append("kept"))
        return str, ("moved",)


def test_packing_gives_up_or_keeps() -> None:
    """The commits are made when all was packed, and the rollbacks when something was not."""
    story: list[str] = []
    parcels: list[Parcel] = []

    def make() -> Parcel:
        parcels.append(Parcel())
        return parcels[-1]

    codec.pack([Moving(story)], parcel=make)
    assert (["given up"], 1) == (story, len(parcels[0].fds))
    with pytest.raises(TypeError):
        codec.pack([Moving(story), threading.Lock()], parcel=make)
    # Whoever keeps the error does not keep the descriptors.
    assert (["given up", "kept"], []) == (story, parcels[1].fds)


def test_something_can_be_listed_later() -> None:
    """An object may be added to those that move while the message is packed."""
    parcel, item = Parcel(), object()
    assert not parcel.is_moved(item)
    parcel.move(item)
    assert parcel.is_moved(item)
