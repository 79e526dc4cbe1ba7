"""
What was borrowed can be written to, is one's own, and is missed when it is gone.
"""

from __future__ import annotations

import gc
import os
import pickle
from collections import deque
from functools import partial
from typing import TYPE_CHECKING, Any

import pytest

from webworker_executor.link import mapping as module
from webworker_executor.link.mapping import Mapping, Watch, ended
from webworker_executor.link.rights import Descriptor
from webworker_executor.link.segment import Segment
from webworker_executor.wire.place import Place

if TYPE_CHECKING:
    from collections.abc import Callable

NBYTES = 200_000


class Loan:
    """
    A segment, its mapping, and what has come back.
    """

    def __init__(self, *fillings: int) -> None:
        self.segment = Segment(1 << 20)
        self.places = []
        for number, filling in enumerate(fillings):
            place = Place(1, number * 200_064, NBYTES)
            self.segment.write(place.offset, memoryview(bytes([filling]) * NBYTES))
            self.places.append(place)
        self.mapping = Mapping(1, Descriptor.copy_of(self.segment.fd.fileno()))
        self.released: deque[Watch] = deque()
        self.calls: list[object] = []

    def borrow(self) -> list[memoryview] | None:
        bell: list[Callable[[], object]] = [partial(self.calls.append, n) for n in range(2)]
        return self.mapping.borrow(self.places, self.released, bell)

    def end(self) -> int:
        count = 0
        while self.released:
            ended(self.released.popleft())
            count += 1
        return count


def test_buffers_are_the_memory_itself() -> None:
    """
    They are plain writable bytes, and nothing was copied.
    """
    loan = Loan(1, 2)
    buffers = loan.borrow()
    assert buffers is not None
    assert [(NBYTES, "B", False)] * 2 == [(b.nbytes, b.format, b.readonly) for b in buffers]
    assert [1, 2] == [b[-1] for b in buffers]
    loan.segment.write(0, memoryview(b"new"))
    assert b"new" == bytes(buffers[0][:3])
    assert 1 == loan.mapping.n_loans
    del buffers
    assert 1 == loan.end()


@pytest.mark.parametrize("keep", ["slice", "cast", "memoryview", "PickleBuffer", "numpy", "array"])
def test_whatever_stands_on_it_keeps_it(keep: str) -> None:
    """
    The loan ends with the last thing that looks at the memory, not before; and somebody is woken.
    """
    # First of all: the exception that skips keeps what this frame has.
    numpy = pytest.importorskip("numpy") if keep in {"numpy", "array"} else None
    loan = Loan(1, 2)
    buffers = loan.borrow()
    assert buffers is not None
    kept: Any
    if numpy is not None:
        kept = numpy.frombuffer(buffers[1], numpy.uint8)
        if keep == "array":
            packed: list[pickle.PickleBuffer] = []
            data = pickle.dumps(kept, 5, buffer_callback=packed.append)
            kept = pickle.loads(data, buffers=[buffers[1]])[3:7]
            del packed
    elif keep == "PickleBuffer":
        kept = pickle.PickleBuffer(buffers[1])
    elif keep == "memoryview":
        kept = memoryview(buffers[1])
    elif keep == "cast":
        kept = buffers[1].cast("i")
    else:
        kept = buffers[1][3:4]
    del buffers
    gc.collect()
    assert 0 == loan.end()
    assert [] == loan.calls
    del kept
    gc.collect()
    assert 1 == loan.end()
    assert [0, 1] == loan.calls
    assert 0 == loan.mapping.n_loans


def test_copies_need_no_mapping(monkeypatch: pytest.MonkeyPatch) -> None:
    """
    Where nothing more can be mapped, the memory is read.
    """

    def refuse(*_: object) -> Any:
        raise OSError("no address space")

    monkeypatch.setattr(module, "mapped", refuse)
    loan = Loan(1, 2)
    assert loan.borrow() is None
    copies = loan.mapping.copy(loan.places)
    loan.segment.write(0, memoryview(b"new"))
    assert [bytes([1]) * NBYTES, bytes([2]) * NBYTES] == copies
    copies[0][0] = 3


def test_too_many_loans_are_copied() -> None:
    """
    Who keeps very much is given copies instead.
    """
    loans = [Loan(1) for _ in range(module.MAX_LOANS)]
    kept = [loan.borrow() for loan in loans]
    assert None not in kept
    another = Loan(2)
    assert another.borrow() is None
    del kept
    assert [1] * module.MAX_LOANS == [loan.end() for loan in loans]
    assert another.borrow() is not None
    another.end()


def test_both_copies_of_a_forked_process_have_their_own() -> None:
    """
    After a fork neither sees the other's writes nor the owner's, and the segment is done with.
    """
    loan = Loan(1)
    buffers = loan.borrow()
    assert buffers is not None
    buffers[0][0] = 10
    pid = os.fork()
    if pid == 0:
        buffers[0][1] = 20
        os._exit(0 if bytes([10, 20, 1]) == bytes(buffers[0][:3]) else 1)
    assert 0 == os.waitpid(pid, 0)[1]
    buffers[0][2] = 30
    assert bytes([10, 1, 30]) == bytes(buffers[0][:3])
    assert loan.mapping.is_private
    assert bytes([10, 1, 1]) == os.pread(loan.segment.fd.fileno(), 3, 0)
    assert loan.borrow() is None
    del buffers
    assert 1 == loan.end()
