"""
Tests of `webworker_executor.rules.chunks`: the sizes of a map's chunks.
"""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from webworker_executor.rules.chunks import GROWTH, Chunks


def test_nothing_is_believed_before_it_was_measured() -> None:
    """
    The first chunk is one item.
    """
    assert 1 == Chunks(2).size(1_000_000)


@given(
    n_workers=st.integers(1, 64),
    n_left=st.integers(1, 10**9),
    seconds=st.lists(st.tuples(st.floats(0, 10), st.floats(0, 10)), max_size=20),
)
def test_every_size_is_possible_and_grows_slowly(
    n_workers: int, n_left: int, seconds: list[tuple[float, float]]
) -> None:
    """
    At least one item, no more than was measured can tell of; if it is work, a third of a share.
    """
    chunks = Chunks(n_workers)
    size = chunks.size(n_left)
    for work, whole in seconds:
        chunks.measured(size, work, whole)
        larger = chunks.size(n_left)
        assert 1 <= larger <= min(n_left, GROWTH * size)
        share = -(-n_left // (3 * n_workers))
        assert larger <= max(share, 0.0002 * size / max(work, 1e-9))
        size = larger


@pytest.mark.parametrize(
    ("seconds_each", "expected"), [(1.0, 1), (0.001, 5), (0.0001, 50), (0.000001, 5000)]
)
def test_chunks_come_to_five_milliseconds(seconds_each: float, expected: int) -> None:
    """
    Sizes settle where a chunk is about 5 ms of work.
    """
    chunks = Chunks(1)
    for _ in range(20):
        size = chunks.size(10**9)
        chunks.measured(size, size * seconds_each, size * seconds_each)
    assert pytest.approx(expected, abs=1) == chunks.size(10**9)
    assert not chunks.is_measuring(10**9)


def test_a_costly_transfer_counts() -> None:
    """
    Items that take long to send are not heaped up because they are quickly worked on.
    """
    chunks = Chunks(1)
    while chunks.is_measuring(10**9):
        size = chunks.size(10**9)
        chunks.measured(size, size * 1e-6, size * 0.01)
    assert 2 == chunks.size(10**9)


def test_one_late_answer_does_not_end_the_growth() -> None:
    """
    A chunk that was held up once, by whatever else the machine does, is measured again.
    """
    chunks = Chunks(1)
    for number in range(10):
        size = chunks.size(10**9)
        is_late = number % 2 == 0
        chunks.measured(size, size * 1e-6 + 0.012 * is_late, size * 1e-6 + 0.050 * is_late)
    assert 5000 == chunks.size(10**9)


def test_two_late_answers_do() -> None:
    """
    What takes long twice takes long.
    """
    chunks = Chunks(1)
    for _ in range(2):
        chunks.measured(chunks.size(10**9), 0.001, 0.001)
    assert not chunks.is_measuring(10**9)
    assert 5 == chunks.size(10**9)


def test_sizes_stay_when_nothing_comes() -> None:
    """
    Items that take too long to wait for go one by one.
    """
    chunks = Chunks(2)
    chunks.unmeasured()
    assert not chunks.is_measuring(10**6)
    assert 1 == chunks.size(10**6)


def test_the_end_of_long_work_is_cut_small() -> None:
    """
    The last chunks of items that take long are single ones.
    """
    chunks = Chunks(2)
    chunks.measured(1, 0.00125, 0.00125)
    chunks.measured(1, 0.00125, 0.00125)
    assert [4, 1, 1, 1] == [chunks.size(left) for left in (24, 3, 2, 1)]


def test_the_end_of_quick_work_is_not_cut() -> None:
    """
    Where an even end would save less time than one more task takes, no more are made.
    """
    chunks = Chunks(2)
    chunks.measured(1, 1e-6, 1e-6)
    chunks.measured(64, 64e-6, 64e-6)
    assert [200, 200, 150] == [chunks.size(left) for left in (600, 400, 150)]


def test_sizes_that_cannot_grow_are_not_measured() -> None:
    """
    Where shares of what is left are the limit, all the rest can be submitted at once.
    """
    chunks = Chunks(2)
    chunks.measured(1, 1e-6, 1e-6)
    assert chunks.is_measuring(6 * (GROWTH + 1))
    assert not chunks.is_measuring(6 * GROWTH)
