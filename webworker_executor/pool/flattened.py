"""
What comes of a map's chunks, as one iterator over the results of its calls.

Not for submitting chunks or waiting for them (`mapping`), nor for what a worker makes of one
(`chunk`). A changer must know: an ``itertools.chain`` over the chunks is a tenth faster, and no
way: where two threads, or a signal handler, ask it at once, it lets go of a generator that runs,
and the interpreter may crash.
"""

from __future__ import annotations

from webworker_executor.pool.answer import open_failure
from webworker_executor.pool.chunk import Failed

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator
    from typing import Any

    from webworker_executor.pool.chunk import Results


def results_of(chunks: Iterator[Results]) -> Iterator[Any]:
    """
    Yield the results of chunks, letting go of each as it is handed over.

    But a tuple of numbers is yielded within C, and let go of as a whole.

    Args:
        chunks: What ``run_chunk`` returned, in order; closed at the end, if it can be.
    """
    try:
        for results in chunks:
            if isinstance(results, tuple):
                yield from results
                continue
            results.reverse()
            while True:
                if not results:
                    break
                yield results.pop()
    finally:
        _close(chunks)


def outcomes_of(chunks: Iterator[tuple[float, bool, Results]]) -> Iterator[Any]:
    """
    Yield the results of calls up to the first that raised, and raise that.

    Args:
        chunks: What ``Outcomes.told`` says, in order; closed at the end, if it can be.
    """
    try:
        for _, all_went_well, outcomes in chunks:
            if isinstance(outcomes, tuple):
                yield from outcomes
                continue
            # Popped as they are yielded: what was handed over is not kept here.
            while True:
                if not outcomes:
                    break
                yield outcomes.pop() if all_went_well else _result(outcomes.pop())
    finally:
        _close(chunks)


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
