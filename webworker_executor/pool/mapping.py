"""
``map`` over an executor: chunks, back-pressure and order, by way of ``submit`` alone.
"""

from __future__ import annotations

import itertools
import time
import weakref
from collections import deque
from typing import TYPE_CHECKING, Any, Protocol

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Sequence
    from concurrent.futures import Future


class Submitter(Protocol):
    """What ``map`` asks of an executor."""

    def submit(self, fn: Callable[..., Any], /, *args: Any, **kwargs: Any) -> Future[Any]:
        """Run a call."""


def check(chunksize: int | None, buffersize: int | None) -> None:
    """
    Refuse what ``Executor.map`` refuses.

    Raises:
        ValueError: ``chunksize`` or ``buffersize`` is less than 1.
        TypeError: ``buffersize`` is no integer.
    """
    if chunksize is not None and chunksize < 1:
        raise ValueError("chunksize must be >= 1.")
    if buffersize is not None:
        if not isinstance(buffersize, int):
            raise TypeError("buffersize must be an integer or None")
        if buffersize < 1:
            raise ValueError("buffersize must be None or > 0")


def run_chunk(fn: Callable[..., Any], chunk: Sequence[tuple[Any, ...]]) -> list[Any]:
    """Call ``fn`` with each tuple of arguments; in the worker."""
    return [fn(*args) for args in chunk]


def chunks(
    argument_tuples: Iterable[tuple[Any, ...]], size: int
) -> Iterator[tuple[tuple[Any, ...], ...]]:
    """Cut an iterable into tuples of ``size``, the last one shorter."""
    iterator = iter(argument_tuples)
    while chunk := tuple(itertools.islice(iterator, size)):
        yield chunk


def ordered(
    executor: Submitter,
    fn: Callable[..., Any],
    argument_tuples: Iterable[tuple[Any, ...]],
    timeout: float | None,
    buffersize: int | None,
) -> Iterator[Any]:
    """
    Submit a call for each tuple of arguments and yield the results in order.

    Args:
        executor: Its ``submit`` is looked up anew for each call: programs assign to it.
        fn: What to call.
        argument_tuples: Taken at once, or ``buffersize`` ahead.
        timeout: Seconds from now within which each result must have been asked for and come.
        buffersize: How many calls may be submitted and not yielded; ``None`` for all.

    Returns:
        An iterator that cancels what has not begun when it is dropped or closed.
    """
    deadline = None if timeout is None else time.monotonic() + timeout
    iterator = iter(argument_tuples)
    if buffersize is None:
        futures = deque(executor.submit(fn, *args) for args in iterator)
        return _yield_results(futures, deadline, None)
    futures = deque(executor.submit(fn, *args) for args in itertools.islice(iterator, buffersize))
    # Held weakly: an iterator that is kept must not keep the executor from being collected.
    reference = weakref.ref(executor)

    def submit_next() -> None:
        living = reference()
        if living is not None:
            for args in itertools.islice(iterator, 1):
                futures.append(living.submit(fn, *args))

    return _yield_results(futures, deadline, submit_next)


def _yield_results(
    futures: deque[Future[Any]], deadline: float | None, submit_next: Callable[[], None] | None
) -> Iterator[Any]:
    try:
        while futures:
            if submit_next is not None:
                submit_next()
            # Popped before it is asked: a result that was handed over is not kept here.
            yield _take(futures.popleft(), deadline)
    finally:
        for future in futures:
            future.cancel()


def _take(future: Future[Any], deadline: float | None) -> Any:
    try:
        try:
            return future.result(None if deadline is None else deadline - time.monotonic())
        finally:
            future.cancel()
    finally:
        # An exception on its way refers to this frame.
        del future


def flattened(lists: Iterator[list[Any]]) -> Iterator[Any]:
    """Yield the elements of lists, letting go of each as it is yielded."""
    try:
        for elements in lists:
            elements.reverse()
            while elements:
                yield elements.pop()
    finally:
        close = getattr(lists, "close", None)
        if close is not None:
            close()
