"""
Tests of `webworker_executor.wire.transfer`: what travels beside a message finds its place in it.
"""

from __future__ import annotations

import threading
from typing import Any

import pytest

from tests.link.interrupts import broken_off
from webworker_executor.wire import codec
from webworker_executor.wire.frame import MAX_FDS
from webworker_executor.wire.transfer import (
    Parcel,
    current_parcel,
    for_task,
    on_trial,
    reducers,
    taken,
)


class Movable:
    """
    Something with a descriptor, as a port is.
    """

    def __init__(self, fd: Any) -> None:
        self.fd = fd
        self.is_gone = False

    def __reduce__(self) -> Any:
        parcel = current_parcel()
        if parcel is None:
            raise TypeError("cannot be pickled")
        if not (parcel.is_moved(self) or parcel.moves_ports):
            raise TypeError("was not listed")
        parcel.commits.append(self.leave)
        return Movable._arrive, (parcel.add(self.fd),)

    @staticmethod
    def _arrive(slot: int) -> Movable:
        return Movable(taken(slot))

    def leave(self) -> None:
        self.is_gone = True


class Foreign:
    """
    Something of another library that refuses to be pickled.
    """

    def __reduce__(self) -> Any:
        raise TypeError("cannot pickle this")


def test_what_is_moved_arrives_in_its_place() -> None:
    """
    Each slot gets its own descriptor, and the sender's object is given up.
    """
    things = [Movable("a"), Movable("b")]
    packed = codec.pack({"x": things[1], "y": things[0]}, parcel=lambda: Parcel(things))
    assert [True, True] == [thing.is_gone for thing in things]
    value: Any = codec.unpack(packed.payload, packed.buffers, packed.fds)
    assert ("b", "a") == (value["x"].fd, value["y"].fd)


def test_a_trial_gives_nothing_up() -> None:
    """
    A value that could be moved packs, and stays with its sender.
    """
    thing = Movable("a")
    packed = codec.pack([thing], parcel=on_trial)
    assert (False, []) == (thing.is_gone, list(packed.fds))


def test_arguments_of_tasks_move_unlisted() -> None:
    """
    There is no list of what is moved in a call.
    """
    packed = codec.pack((Movable("a"),), parcel=for_task)
    assert ["a"] == packed.fds


@pytest.mark.parametrize("parcel", [None, Parcel], ids=["no parcel", "not listed"])
def test_what_may_not_move_is_refused_and_kept(parcel: Any) -> None:
    """
    A value that cannot go leaves the sender's side as it was.
    """
    thing = Movable("a")
    with pytest.raises(TypeError):
        codec.pack([thing], parcel=parcel)
    assert not thing.is_gone


def test_a_message_that_fails_gives_nothing_up() -> None:
    """
    What was packed before the part that fails stays with its sender.
    """
    thing = Movable("a")
    with pytest.raises(TypeError, match="cannot pickle this"):
        codec.pack([thing, Foreign()], parcel=for_task)
    assert not thing.is_gone


def test_foreign_types_have_reducers(monkeypatch: pytest.MonkeyPatch) -> None:
    """
    A type that knows nothing of parcels can be taught.
    """

    def reduce(parcel: Parcel, item: Foreign) -> Any:
        return taken, (parcel.add("a descriptor"),)

    monkeypatch.setitem(reducers, Foreign, reduce)
    packed = codec.pack([Foreign()], parcel=Parcel)
    assert ["a descriptor"] == codec.unpack(packed.payload, packed.buffers, packed.fds)


def test_what_nobody_took_is_dropped() -> None:
    """
    Descriptors of a message that does not unpack are not kept by anyone.
    """
    thing = Movable(object())
    packed = codec.pack([thing], parcel=for_task)
    with pytest.raises(LookupError, match="descriptor 0 of a message did not come along"):
        codec.unpack(packed.payload, packed.buffers, [])


def test_messages_in_messages_have_parcels_of_their_own() -> None:
    """
    Unpacking that unpacks, and threads that pack at the same time, do not mix descriptors up.
    """
    inner = codec.pack([Movable("inner")], parcel=for_task)

    class Outer:
        def __reduce__(self) -> Any:
            codec.pack([Movable("other")], parcel=for_task)
            return codec.unpack, (inner.payload, inner.buffers, ["inner"])

    packed = codec.pack([Movable("a"), Outer(), Movable("b")], parcel=for_task)
    value: Any = codec.unpack(packed.payload, packed.buffers, packed.fds)
    assert ["a", "inner", "b"] == [value[0].fd, value[1][0].fd, value[2].fd]
    seen: list[object] = []
    thread = threading.Thread(target=lambda: seen.append(current_parcel()))
    thread.start()
    thread.join(10.0)
    assert [None] == seen


def test_a_message_takes_so_many_and_no_more() -> None:
    """
    More descriptors than the kernel takes at once are refused before anything is given up.
    """
    things = [Movable(number) for number in range(MAX_FDS + 1)]
    with pytest.raises(ValueError, match="more than 253 descriptors in one message"):
        codec.pack(things, parcel=for_task)
    assert not any(thing.is_gone for thing in things)


def test_a_message_that_is_broken_off_anywhere_is_over() -> None:
    """
    Wherever a signal handler raises, what comes later is not packed with its parcel.
    """

    def send() -> None:
        packed = codec.pack([Movable("a")], parcel=for_task)
        codec.unpack(packed.payload, packed.buffers, packed.fds)

    # What is imported at the first time has been.
    send()
    for _ in broken_off(send):
        assert current_parcel() is None
        with pytest.raises(LookupError):
            taken(0)
