"""
A map's results as they come.

Imported when the first such map is made. What every order keeps is told in ``order``.
"""

from __future__ import annotations

import time
from queue import Empty, SimpleQueue

from webworker_executor.pool.division import parts_of
from webworker_executor.pool.order import cancel

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from concurrent.futures import Future
    from typing import Any

    from webworker_executor.pool.order import Forsake, Futures, More


def as_they_come(
    futures: Futures, deadline: float | None, more: More | None, forsake: Forsake | None
) -> Iterator[Any]:
    """
    Yield results in the order in which their futures are done; otherwise as ``order.in_order``.

    Args:
        futures: Emptied at once.
        deadline: As for ``in_order``.
        more: As for ``in_order``.
        forsake: As for ``in_order``.
    """
    done: SimpleQueue[Future[Any]] = SimpleQueue()
    # In the order of the calls, for those that are cancelled at the end.
    waiting: dict[Future[Any], None] = {}
    try:
        _watch(futures, waiting, done)
        futures.clear()
        while True:
            if not waiting:
                return
            if more is not None:
                _watch(more(), waiting, done)
            yield _take_next(waiting, done, deadline)
    finally:
        cancel((*futures, *waiting), forsake)


def _watch(
    futures: Iterable[Future[Any]],
    waiting: dict[Future[Any], None],
    done: SimpleQueue[Future[Any]],
) -> None:
    for future in futures:
        waiting[future] = None
        future.add_done_callback(done.put)


def _take_next(
    waiting: dict[Future[Any], None], done: SimpleQueue[Future[Any]], deadline: float | None
) -> Any:
    seconds = None if deadline is None else max(0.0, deadline - time.monotonic())
    try:
        future = done.get(timeout=seconds)
    except Empty:
        raise TimeoutError from None
    try:
        # Its calls are its own or its parts': those are asked for before it is let go of.
        _watch(parts_of(future), waiting, done)
        del waiting[future]
        return future.result()
    finally:
        # An exception on its way refers to this frame.
        del future
