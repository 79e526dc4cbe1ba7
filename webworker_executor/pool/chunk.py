"""
A chunk: calls of a ``map`` that are one task, laid out for the way and run in the worker.

How large chunks are is decided in ``rules.chunks``; ``mapping`` submits them. A worker that runs
one imports this, so it imports next to nothing: with the rest of ``map`` the first one took 8 ms.
"""

from __future__ import annotations

import _thread
import time

from webworker_executor.pool.title import standing_for
from webworker_executor.web import running
from webworker_executor.web.awaited import CoroutineType, ended
from webworker_executor.web.blame import point_out
from webworker_executor.wire import codec
from webworker_executor.wire.salvage import Salvageable
from webworker_executor.wire.transfer import on_trial

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from typing import Any

    # See `lay_out`.
    Chunk = list[tuple[Any, ...]] | tuple[Any, ...]
    # See `NUMBERS`.
    Results = list[Any] | tuple[Any, ...]

# Results that keep nothing alive. If a chunk has no others they come as a tuple, in order, and are
# yielded within C. Others come as a list, of which each is let go as it is handed over; that takes
# twice as long.
NUMBERS = frozenset({int, float, complex, bool, type(None)})


def lay_out(calls: list[tuple[Any, ...]]) -> Chunk:
    """
    Lay out calls for the way: a list of tuples, or, where each has one argument, a tuple of those.

    A tuple for each number takes ten times as long to pickle, and to unpickle, as the number.
    """
    if set(map(len, calls)) == {1}:
        return tuple([argument for (argument,) in calls])
    return calls


@standing_for(0, is_of_chunks=True)
def run_chunk(fn: Callable[..., Any], chunk: Chunk) -> Results:
    """Call ``fn`` for each call of a chunk; in the worker."""
    if type(chunk) is tuple:
        results = [fn(only) for only in chunk]
    else:
        results = [fn(*args) for args in chunk]
    # Not asked of each in its turn, which would take as long as a short call.
    kinds = set(map(type, results))
    if CoroutineType in kinds:
        return [ended(result) for result in results]
    return tuple(results) if kinds <= NUMBERS else results


class Failed:
    """
    What one call of a chunk raised, in the place of its result.

    Args:
        packed: As ``pack_failure`` has it.
    """

    __slots__ = ("packed",)

    def __init__(self, packed: bytes) -> None:
        self.packed = packed

    def __reduce__(self) -> tuple[type[Failed], tuple[bytes]]:
        return Failed, (self.packed,)


class Outcomes(Salvageable):
    """
    What came of a chunk. It arrives as a tuple.

    Args:
        seconds: How many it took.
        outcomes: A tuple of numbers, in order; or a list of results, last first, with ``Failed`` in
            the places of those that have none.
        all_went_well: Whether there is none of these.
    """

    __slots__ = ("_all_went_well", "_outcomes", "_seconds")

    def __init__(self, seconds: float, outcomes: Results, *, all_went_well: bool) -> None:
        self._seconds = seconds
        self._outcomes = outcomes
        self._all_went_well = all_went_well

    def __reduce__(self) -> tuple[type[tuple[Any, ...]], tuple[tuple[float, bool, Results]]]:
        return tuple, (self.told(),)

    def told(self) -> tuple[float, bool, Results]:
        """Return the seconds, whether all went well, and the outcomes."""
        return self._seconds, self._all_went_well, self._outcomes

    def salvaged(self) -> tuple[float, bool, Results]:
        """
        Return the same with ``Failed`` in the places of results that do not pickle, too.

        They are looked at one by one only when that is known: to pickle each twice took as long
        again as all the rest.
        """
        self._outcomes = [_packable(outcome) for outcome in self._outcomes]
        self._all_went_well = Failed not in set(map(type, self._outcomes))
        return self.told()


class RunningChunk:
    """
    The calls of a chunk that runs, each taken out as it begins.

    Args:
        chunk: The chunk.

    Attributes:
        waiting: Those that have not begun.
    """

    __slots__ = ("_lock", "waiting")

    def __init__(self, chunk: Chunk) -> None:
        self.waiting: Iterator[Any] = iter(chunk)
        # Held while it is divided, which must be said before the answer is.
        self._lock = _thread.allocate_lock()

    def divide(self, tell: Callable[[int], object]) -> None:
        """Take out all that have not begun, and tell how many; on the control thread."""
        with self._lock:
            if self._is_running:
                # Emptied in one step of C: each call is taken out by this thread or by the one
                # that runs it.
                tell(len(list(self.waiting)))

    @property
    def _is_running(self) -> bool:
        return running.divisible is not None and running.divisible[1] is self

    def end(self) -> None:
        """Be divided no more; on the main thread."""
        # Of a copy that a call has forked, nobody is left who might hold the lock, or divide it.
        if self._is_running:
            with self._lock:
                running.divisible = None


@standing_for(0, is_of_chunks=True)
def run_all(fn: Callable[..., Any], chunk: Chunk) -> Outcomes:
    """Call ``fn`` for each call of a chunk, whatever the others raise; in the worker."""
    started = time.perf_counter()
    outcomes: list[Any] = []
    running_chunk = RunningChunk(chunk)
    running.be_divisible(running_chunk)
    try:
        _run(fn, running_chunk.waiting, outcomes.append, have_one=type(chunk) is tuple)
    finally:
        running_chunk.end()
    kinds = set(map(type, outcomes))
    if CoroutineType in kinds:
        outcomes = [_ended(outcome) for outcome in outcomes]
        kinds = set(map(type, outcomes))
    if kinds <= NUMBERS:
        return Outcomes(time.perf_counter() - started, tuple(outcomes), all_went_well=True)
    outcomes.reverse()
    return Outcomes(time.perf_counter() - started, outcomes, all_went_well=Failed not in kinds)


def _run(
    fn: Callable[..., Any],
    waiting: Iterator[Any],
    append: Callable[[Any], object],
    *,
    have_one: bool,
) -> None:
    for item in waiting:
        # Until one tells what kind of results there are.
        try:
            result = fn(item) if have_one else fn(*item)
        except BaseException as error:
            append(_failed(error))
            continue
        if result.__class__ is CoroutineType:
            fn, result = _completing(fn), _ended(result)
        append(result)
        break
    while True:
        try:
            if have_one:
                # A call with a star takes half as long again as one without.
                for only in waiting:
                    append(fn(only))
            else:
                for args in waiting:
                    append(fn(*args))
            return
        except BaseException as error:
            append(_failed(error))


def _completing(fn: Callable[..., Any]) -> Callable[..., Any]:
    """Run each coroutine to its end before the next call begins."""

    def call(*args: Any) -> Any:
        try:
            return ended(fn(*args))
        except BaseException as error:
            return _failed(error)

    return call


def _ended(outcome: Any) -> Any:
    try:
        return ended(outcome)
    except BaseException as error:
        return _failed(error)


def _packable(outcome: Any) -> Any:
    try:
        codec.pack(outcome, to_host=True, parcel=on_trial)
    except BaseException as error:
        point_out(error, {"result": outcome})
        return _failed(error)
    return outcome


def _failed(error: BaseException) -> Failed:
    from webworker_executor.wire.failure import pack_failure

    return Failed(pack_failure(error, skip=1))
