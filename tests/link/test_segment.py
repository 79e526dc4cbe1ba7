"""
A segment holds what was written, in memory that is really there, and closes nobody else's file.
"""

from __future__ import annotations

import itertools
import os
import resource

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.pool.strike import Strike
from webworker_executor.link import segment as segments
from webworker_executor.link.segment import MemoryDescriptor, Segment, larger_sizes, size_of


def contents(segment: Segment, nbytes: int, offset: int = 0) -> bytes:
    return os.pread(segment.fd.fileno(), nbytes, offset)


@given(st.integers(1, 1 << 40))
def test_sizes_come_in_quarters(nbytes: int) -> None:
    """
    A size holds what was asked for, wastes a quarter at most, and is its own size.
    """
    size = size_of(nbytes)
    assert nbytes <= size <= max(4096, nbytes * 1.25 + 4096)
    assert size == size_of(size)
    assert 0 == size % 4096
    larger = list(larger_sizes(size))
    assert all(size < other <= 2 * size for other in larger)
    assert len(larger) <= 8


@pytest.mark.parametrize("advice", [segments.POPULATE_WRITE, 99], ids=["known", "unknown"])
def test_it_holds_what_was_written(monkeypatch: pytest.MonkeyPatch, advice: int) -> None:
    """
    Cold, warm, and beyond what was warm; also where the kernel does not know how to warm it.
    """
    monkeypatch.setattr(segments, "POPULATE_WRITE", advice)
    segment = Segment(1 << 16)
    for filling, nbytes in ((1, 5000), (2, 300), (3, 1 << 16), (4, 10_000)):
        segment.write(0, memoryview(bytes([filling]) * nbytes))
        assert bytes([filling]) * nbytes == contents(segment, nbytes)
    segment.write(64, memoryview(b"abc"))
    assert b"abc" == contents(segment, 3, 64)


def test_only_what_was_written_takes_memory() -> None:
    """
    A large segment with little in it occupies little.
    """
    segment = Segment(1 << 26)
    segment.write(0, memoryview(bytes(100_000)))
    assert os.fstat(segment.fd.fileno()).st_blocks * 512 < 1 << 20


def test_nobody_makes_it_shorter() -> None:
    """
    Whoever has the descriptor cannot take pages away from others.
    """
    segment = Segment(1 << 16)
    with pytest.raises(PermissionError):
        os.ftruncate(segment.fd.fileno(), 0)


def test_files_must_not_be_so_long() -> None:
    """
    Beyond RLIMIT_FSIZE the making fails and leaves nothing open.
    """
    before = os.listdir("/proc/self/fd")
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (1 << 16, hard))
    try:
        with pytest.raises(OSError, match="large"):
            Segment(1 << 20)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    assert before == os.listdir("/proc/self/fd")


def test_a_number_that_somebody_else_has_now() -> None:
    """
    What got the number of a closed descriptor is neither written to nor closed.
    """
    segment = Segment(1 << 16)
    number = segment.fd.fileno()
    ours, theirs = os.pipe()
    os.dup2(theirs, number)
    with pytest.raises(OSError, match="closed by a task"):
        segment.write(0, memoryview(b"secret"))
    del segment
    os.write(number, b"x")
    assert b"x" == os.read(ours, 10)
    for fd in (ours, theirs, number):
        os.close(fd)


def test_a_descriptor_is_closed_with_its_owner() -> None:
    """
    Taken it stays open, dropped it is closed.
    """
    fd = os.memfd_create("webworker-test")
    owner = MemoryDescriptor(fd)
    assert fd == owner.intact()
    owner.close()
    owner.close()
    with pytest.raises(OSError, match="Bad file"):
        os.fstat(fd)


@pytest.mark.parametrize("lowest", [0, 500])
def test_a_handler_that_raises_where_one_is_made(
    monkeypatch: pytest.MonkeyPatch, lowest: int
) -> None:
    """
    No descriptor stays open, wherever it strikes, and what it raises comes out.
    """
    # Also where the first number that is free is too low.
    monkeypatch.setattr(segments, "LOWEST", lowest)
    before = os.listdir("/proc/self/fd")
    for number in itertools.count(1):
        strike = Strike("Segment.__init__", number)
        strike.during(lambda: Segment(1 << 18))
        assert bool(strike.where) is strike.has_raised
        assert before == os.listdir("/proc/self/fd"), strike.where
        if not strike.where:
            break
    assert number > 5
