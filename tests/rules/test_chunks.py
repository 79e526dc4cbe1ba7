"""
Tests of `webworker_executor.rules.chunks`: the sizes of a map's chunks.
"""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from webworker_executor.rules.chunks import Chunks


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
    At least one item, at most eight times what was measured, at most a third of a share.
    """
    chunks = Chunks(n_workers)
    size = chunks.size(n_left)
    for work, whole in seconds:
        chunks.measured(size, work, whole)
        larger = chunks.size(n_left)
        assert 1 <= larger <= min(n_left, 8 * size)
        assert larger <= -(-n_left // (3 * n_workers))
        size = larger


@pytest.mark.parametrize(
    ("seconds_each", "expected"), [(1.0, 1), (0.001, 2), (0.0001, 20), (0.000001, 2000)]
)
def test_chunks_come_to_two_milliseconds(seconds_each: float, expected: int) -> None:
    """
    Sizes settle where a chunk is about 2 ms of work.
    """
    chunks = Chunks(1)
    for _ in range(20):
        size = chunks.size(10**9)
        chunks.measured(size, size * seconds_each, size * seconds_each)
    assert pytest.approx(expected, abs=1) == chunks.size(10**9)
    assert chunks.is_settled


def test_a_costly_transfer_counts() -> None:
    """
    Items that take long to send are not heaped up because they are quickly worked on.
    """
    chunks = Chunks(1)
    while not chunks.is_settled:
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
        chunks.measured(size, size * 1e-6 + 0.005 * is_late, size * 1e-6 + 0.050 * is_late)
    assert 2000 == chunks.size(10**9)


def test_two_late_answers_do() -> None:
    """
    What takes long twice takes long.
    """
    chunks = Chunks(1)
    for _ in range(2):
        chunks.measured(chunks.size(10**9), 0.001, 0.001)
    assert chunks.is_settled
    assert 2 == chunks.size(10**9)


def test_sizes_stay_when_nothing_comes() -> None:
    """
    Items that take too long to wait for go one by one.
    """
    chunks = Chunks(2)
    chunks.unmeasured()
    assert chunks.is_settled
    assert 1 == chunks.size(10**6)


def test_the_end_is_cut_small() -> None:
    """
    However quick the items are, the last chunks are single ones.
    """
    chunks = Chunks(2)
    chunks.measured(1, 0, 0)
    assert [1, 1, 1] == [chunks.size(left) for left in (3, 2, 1)]
