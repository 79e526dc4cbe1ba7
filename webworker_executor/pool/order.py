"""
A map's results in the order of the calls, and what every order keeps.

Which is: a future is let go of before its result is handed over, what was taken out of it has its
turn when it is done itself, and the end of the iterator, however it comes, cancels what has not
begun. Not for results as they come (``unordered``), nor for submitting the calls (``mapping``).
"""

from __future__ import annotations

import contextlib
import time

from webworker_executor.pool.division import parts_of

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections import deque
    from collections.abc import Callable, Iterable, Iterator
    from concurrent.futures import Future
    from typing import Any

    Futures = deque[Future[Any]]
    # Submits what has room now that a result is asked for.
    More = Callable[[], Iterable[Future[Any]]]
    # Has what has not begun of a future that cannot be cancelled never run.
    Forsake = Callable[[Future[Any]], None]
    Order = Callable[[Futures, float | None, More | None, Forsake | None], Iterator[Any]]


@contextlib.contextmanager
def cancelled_on_error(
    futures: Iterable[Future[Any]], forsake: Forsake | None = None
) -> Iterator[None]:
    """If the block raises, cancel what it had submitted: nobody will ask for it."""
    try:
        yield
    except BaseException:
        cancel(futures, forsake)
        raise


def cancel(futures: Iterable[Future[Any]], forsake: Forsake | None) -> None:
    """Cancel what has not begun."""
    for future in tuple(futures):
        if not future.cancel() and forsake is not None:
            forsake(future)


def in_order(
    futures: Futures, deadline: float | None, more: More | None, forsake: Forsake | None
) -> Iterator[Any]:
    """
    Yield results in the order of the futures.

    Args:
        futures: Emptied by and by.
        deadline: Until when each must have been asked for and come, as ``time.monotonic`` has it.
        more: Asked for further futures with each result, if there is one.
        forsake: See ``Forsake``.

    Raises:
        TimeoutError: It is later than ``deadline``.
        BaseException: What a future or ``more`` raises.
    """
    try:
        while True:
            if not futures:
                return
            if more is not None:
                futures.extend(more())
            yield _take_first(futures, deadline)
    finally:
        cancel(futures, forsake)


def _take_first(futures: Futures, deadline: float | None) -> Any:
    # Popped before it is asked: a result that was handed over is not kept here.
    future = futures.popleft()
    try:
        try:
            return future.result(None if deadline is None else deadline - time.monotonic())
        finally:
            if not future.done():
                # Ctrl-C, or out of time: it ends with all the others.
                futures.appendleft(future)
            elif parts := parts_of(future):
                futures.extendleft(reversed(parts))
    finally:
        # An exception on its way refers to this frame.
        del future
