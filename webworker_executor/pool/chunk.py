"""
A chunk: calls of a ``map`` that are one task, laid out for the way and run in the worker.

How large chunks are is decided in ``rules.chunks``; ``mapping`` submits them. A worker that runs
one imports this, so it imports next to nothing: with the rest of ``map`` the first one took 8 ms.
"""

from __future__ import annotations

import time

from webworker_executor.wire import codec

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from typing import Any

    # See `lay_out`.
    Chunk = list[tuple[Any, ...]] | tuple[Any, ...]

_PLAIN = frozenset({type(None), bool, int, float, str})


def lay_out(calls: list[tuple[Any, ...]]) -> Chunk:
    """
    Lay out calls for the way: a list of tuples, or, where each has one argument, a tuple of those.

    A tuple for each number takes ten times as long to pickle, and to unpickle, as the number.
    """
    if set(map(len, calls)) == {1}:
        return tuple([argument for (argument,) in calls])
    return calls


def run_chunk(fn: Callable[..., Any], chunk: Chunk) -> list[Any]:
    """Call ``fn`` for each call of a chunk; in the worker."""
    if type(chunk) is tuple:
        return [fn(only) for only in chunk]
    return [fn(*args) for args in chunk]


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


def run_all(fn: Callable[..., Any], chunk: Chunk) -> tuple[float, bool, list[Any]]:
    """
    Call ``fn`` for each call of a chunk, whatever the others raise; in the worker.

    Returns:
        How many seconds it took, whether all went well, and the results, last first, with
        ``Failed`` in the places of those that have none.
    """
    started = time.perf_counter()
    outcomes: list[Any] = []
    append = outcomes.append
    waiting: Iterator[Any] = iter(chunk)
    while True:
        try:
            if type(chunk) is tuple:
                # A call with a star takes half as long again as one without.
                for only in waiting:
                    append(fn(only))
            else:
                for args in waiting:
                    append(fn(*args))
            break
        except BaseException as error:
            append(_failed(error))
    seconds = time.perf_counter() - started
    kinds = set(map(type, outcomes))
    if len(outcomes) > 1 and not kinds <= _PLAIN:
        # One result that does not pickle must not take the others with it.
        outcomes = [_packable(outcome) for outcome in outcomes]
        kinds = set(map(type, outcomes))
    outcomes.reverse()
    return seconds, Failed not in kinds, outcomes


def _packable(outcome: Any) -> Any:
    if outcome.__class__ in _PLAIN:
        return outcome
    try:
        codec.pack(outcome, to_host=True)
    except BaseException as error:
        return _failed(error)
    return outcome


def _failed(error: BaseException) -> Failed:
    from webworker_executor.wire.failure import pack_failure

    return Failed(pack_failure(error, skip=1))
