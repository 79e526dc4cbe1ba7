"""
Large buffers stay outside the pickle, and large bytes do as well.
"""

from __future__ import annotations

from pickle import PickleBuffer
from typing import TYPE_CHECKING, Any

import pytest

from webworker_executor.wire import apart, codec
from webworker_executor.wire.place import Place

if TYPE_CHECKING:
    from collections.abc import Sequence

LARGE = apart.OUT_OF_BAND


class Shelf:
    """
    Keeps what it is given, as shared memory would.
    """

    def __init__(self) -> None:
        self.kept: list[bytes] = []

    def __call__(self, buffers: Sequence[memoryview]) -> list[Place]:
        self.kept += map(bytes, buffers)
        return [Place(1, 0, buffer.nbytes) for buffer in buffers]

    def unpacked(self, packed: codec.Packed) -> object:
        """Unpack from what lies here."""
        buffers = [memoryview(bytearray(kept)) for kept in self.kept]
        return codec.unpack(packed.payload, buffers)


@pytest.mark.parametrize("kind", [bytes, bytearray])
@pytest.mark.parametrize("is_alone", [True, False])
def test_large_bytes_lie_on_the_shelf(kind: type, is_alone: bool) -> None:
    """Large bytes go apart, alone or as an argument, and come back as what they were."""
    data = kind(b"x" * LARGE)
    value = data if is_alone else (1, data, "and", data)
    shelf = Shelf()
    packed = codec.pack(value, shelf=shelf)
    assert [LARGE] == [len(buffer) for buffer in packed.buffers]
    back = shelf.unpacked(packed)
    assert value == back
    item = back if is_alone else back[1]  # type: ignore[index]  # a tuple
    assert kind is type(item)


def test_one_object_is_one_object_again() -> None:
    """Large bytes that were given twice arrive as one object, as by pickle."""
    data = b"x" * LARGE
    shelf = Shelf()
    back = shelf.unpacked(codec.pack((data, data), shelf=shelf))
    assert isinstance(back, tuple)
    assert back[0] is back[1]


def test_without_a_shelf_bytes_stay_in_the_pickle() -> None:
    """Where no memory is lent there is nothing to be gained."""
    packed = codec.pack((b"x" * LARGE,))
    assert [] == packed.buffers
    assert (b"x" * LARGE,) == codec.unpack(packed.payload)


def test_a_bytearray_can_be_resized_when_it_is_packed() -> None:
    """Nothing of a user's is held on to."""
    data = bytearray(LARGE)
    codec.pack((data,), shelf=Shelf())
    data.append(1)
    assert LARGE + 1 == len(data)


def test_subclasses_stay_what_they_are() -> None:
    """A subclass of bytes says itself how it is pickled."""

    class Special(bytes):
        pass

    special = Special(LARGE)
    assert special is apart.with_bulk_apart(special)


@pytest.mark.parametrize("nbytes", [LARGE - 1, LARGE])
def test_small_buffers_stay_in_band(nbytes: int) -> None:
    """A buffer goes apart from the limit up, and its view is let go of otherwise."""
    memory = bytearray(nbytes)
    views: list[memoryview] = []
    assert (nbytes < LARGE) == apart.keep_apart(PickleBuffer(memoryview(memory)), views)
    apart.release(views)
    memory.append(1)
    assert nbytes + 1 == len(memory)


def test_a_full_shelf_makes_copies() -> None:
    """Where the shelf has no room, buffers are copied to bytes."""
    assert [b"abc"] == apart.copied([memoryview(b"abc")], lambda buffers: None)


def test_what_is_kept_is_unpacked_into_memory_of_its_own() -> None:
    """
    Each time it is: what comes out can be changed.
    """
    packed = codec.pack(PickleBuffer(bytearray(LARGE)))
    kept = [apart.writable(packed.buffers) for _ in range(2)]
    copies: list[Any] = [codec.unpack(packed.payload, buffers) for buffers in kept]
    copies[0][0] = 1
    assert [1, 0] == [copy[0] for copy in copies]
