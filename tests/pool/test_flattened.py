"""
What comes of chunks, as one iterator.
"""

from __future__ import annotations

import gc
import weakref
from typing import TYPE_CHECKING, Any

import pytest

from webworker_executor.pool.chunk import Failed
from webworker_executor.pool.flattened import outcomes_of, results_of
from webworker_executor.wire.failure import pack_failure

if TYPE_CHECKING:
    from collections.abc import Iterator


class Source:
    """
    Chunks, and whether somebody has closed them.
    """

    def __init__(self, *chunks: Any) -> None:
        self._chunks = iter(chunks)
        self.n_closed = 0

    def __iter__(self) -> Iterator[Any]:
        return self

    def __next__(self) -> Any:
        return next(self._chunks)

    def close(self) -> None:
        self._chunks = iter(())
        self.n_closed += 1


class Token:
    """
    Can be referred to weakly.
    """


def test_results_are_let_go_of_as_they_are_handed_over() -> None:
    """
    Lists are emptied as their elements are taken, in order.
    """
    lists = [[1, 2], [], [3]]
    flat = results_of(iter(lists))
    assert 1 == next(flat)
    assert [2] == lists[0]
    assert [2, 3] == list(flat)
    assert [1, 2, 3] == list(results_of(iter([(1, 2), (), [3]])))


def test_a_result_that_was_handed_over_is_not_kept() -> None:
    """
    Neither where all went well nor where a later one has not.
    """
    for failed in ([], [Failed(pack_failure(ValueError("bad")))]):
        token = Token()
        reference = weakref.ref(token)
        flat = outcomes_of(iter([(0.1, not failed, [*failed, 1, token])]))
        del token
        assert isinstance(next(flat), Token)
        assert reference() is None
        assert 1 == next(flat)


def test_the_first_exception_ends_it() -> None:
    """
    Of the chunks that come later nothing is told, and their tasks are cancelled.
    """
    source = Source(
        (0.1, False, [2, Failed(pack_failure(ValueError("bad"))), 1]), (0.1, True, (3,))
    )
    flat = outcomes_of(source)
    assert 1 == next(flat)
    assert not source.n_closed
    with pytest.raises(ValueError, match="bad"):
        next(flat)
    assert source.n_closed
    assert [] == list(flat)


@pytest.mark.parametrize("outcomes", [(1, 2, 3), [3, 2, 1]], ids=["tuple", "list"])
@pytest.mark.parametrize("went_well", [True, False])
def test_who_closes_it_or_drops_it_closes_the_chunks(outcomes: Any, went_well: bool) -> None:
    """
    Also amid a chunk, and whether it is asked itself or iterated over.
    """
    for end in ("close", "drop", "drop what iterates"):
        # A list is emptied.
        source = Source((0.1, went_well, outcomes[:]), (0.1, True, (4,)))
        flat: Any = outcomes_of(source)
        assert 1 == next(flat)
        if end == "close":
            flat.close()
            assert [] == list(flat)
        elif end == "drop":
            del flat
        else:
            flat = iter(flat)
            assert 2 == next(flat)
            del flat
        gc.collect()
        assert source.n_closed, end


def test_it_goes_on_where_another_has_stopped() -> None:
    """
    What was asked for by ``next`` does not come once more to who iterates.
    """
    flat = results_of(iter([(1, 2), [3, 4], (5,)]))
    assert 1 == next(flat)
    for found in flat:
        assert 2 == found
        break
    assert 3 == next(flat)
    assert [4, 5] == list(flat)
    assert [] == list(flat)


@pytest.mark.parametrize("outcomes", [(1, 2, 3), [3, 2, 1]], ids=["tuple", "list"])
def test_it_ends_where_it_is_closed_in_the_midst(outcomes: Any) -> None:
    """
    Also for a loop that goes on, for it is its own iterator.
    """
    source = Source((0.1, True, outcomes), (0.1, True, (4,)))
    flat: Any = outcomes_of(source)
    assert iter(flat) is flat
    seen = []
    for found in flat:
        seen.append(found)
        flat.close()
    assert [1] == seen
    assert source.n_closed
