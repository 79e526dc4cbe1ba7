"""
What comes of a map's chunks, as one iterator over the results of its calls.

Not for submitting chunks or waiting for them (`mapping`), nor for what a worker makes of one
(`chunk`).
"""

from __future__ import annotations

import itertools

from webworker_executor.pool.answer import open_failure
from webworker_executor.pool.chunk import Failed

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from typing import Any

    from webworker_executor.pool.chunk import Results


class Flattened:
    """
    An iterator over the elements of parts, as long as there are some.

    Whoever iterates over it goes from one element to the next within C: with a generator between
    them, 200,000 numbers took 2.3 ms longer, a tenth of a map's time.

    Args:
        parts: A generator; closed with this, and when nobody refers to it any more.
    """

    __slots__ = ("__weakref__", "_elements", "_parts")

    def __init__(self, parts: Iterator[Iterable[Any]]) -> None:
        self._parts = parts
        self._elements: Iterator[Any] = itertools.chain.from_iterable(parts)

    def __iter__(self) -> Iterator[Any]:
        return self._elements

    def __next__(self) -> Any:
        return next(self._elements)

    def close(self) -> None:
        """End it: what has not begun is cancelled."""
        self._elements = iter(())
        _close(self._parts)


def results_of(chunks: Iterator[Results]) -> Flattened:
    """
    Iterate over the results of chunks, letting go of each as it is handed over.

    But a tuple of numbers is handed over within C, and let go of as a whole.

    Args:
        chunks: What ``run_chunk`` returned, in order; closed at the end, if it can be.
    """
    return Flattened(_parts_of_results(chunks))


def outcomes_of(chunks: Iterator[tuple[float, bool, Results]]) -> Flattened:
    """
    Iterate over the results of calls up to the first that raised, and raise that.

    Args:
        chunks: What ``Outcomes.told`` says, in order; closed at the end, if it can be.
    """
    return Flattened(_parts_of_outcomes(chunks))


def _parts_of_results(chunks: Iterator[Results]) -> Iterator[Iterable[Any]]:
    try:
        for results in chunks:
            if isinstance(results, list):
                results.reverse()
                yield _taken_out(results)
            else:
                yield results
    finally:
        _close(chunks)


def _parts_of_outcomes(chunks: Iterator[tuple[float, bool, Results]]) -> Iterator[Iterable[Any]]:
    try:
        for _, all_went_well, outcomes in chunks:
            if isinstance(outcomes, tuple):
                yield outcomes
            elif all_went_well:
                yield _taken_out(outcomes)
            else:
                yield _opened(outcomes, chunks)
    finally:
        _close(chunks)


def _taken_out(results: list[Any]) -> Iterator[Any]:
    """Yield from the end of a list; what was handed over is not kept here."""
    while True:
        if not results:
            break
        yield results.pop()


def _opened(outcomes: list[Any], chunks: Iterator[Any]) -> Iterator[Any]:
    try:
        while True:
            if not outcomes:
                break
            yield _result(outcomes.pop())
    except BaseException:
        # Whoever asks once more after an exception is told that this was all.
        _close(chunks)
        raise


def _result(outcome: Any) -> Any:
    if outcome.__class__ is not Failed:
        return outcome
    try:
        raise open_failure(outcome.packed)
    finally:
        del outcome


def _close(iterator: Iterator[Any]) -> None:
    close = getattr(iterator, "close", None)
    if close is not None:
        close()
