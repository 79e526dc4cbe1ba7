"""
A generator in a worker, whose items go to the host one by one, as many as were asked for.
"""

from __future__ import annotations

from collections import deque

from webworker_executor.web.blame import point_out
from webworker_executor.wire import codec
from webworker_executor.wire.frame import encode
from webworker_executor.wire.kinds import CREDITS, EVENT, ITEM, SAYING_SHIFT
from webworker_executor.wire.transfer import for_task

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import AsyncIterable, Iterable
    from typing import Any

    from webworker_executor.child.task import RunningTask


def send_all(task: RunningTask, items: Iterable[Any] | AsyncIterable[Any], credit: int) -> None:
    """
    Send items until there is no more, or nobody wants more.

    Args:
        task: Whose items they are.
        items: They are closed at the end, if they can be. What is asynchronous runs on a loop of
            its own.
        credit: How many may leave before more are asked for.

    Raises:
        TypeError: The items are no iterable.
        Exception: What the iterator raises, or packing an item.
    """
    flow = Flow(task, credit)
    if hasattr(items, "__aiter__"):
        from webworker_executor.web.coroutine import iterated

        items = iterated(items)  # type: ignore[arg-type]  # it was asked
    try:
        iterator = iter(items)
    except TypeError as error:
        if hasattr(items, "__iter__"):
            raise
        raise TypeError(
            f"stream() wants a function that returns an iterable, such as a generator, and this "
            f"one returned {type(items).__name__}: {error}"
        ) from None
    try:
        while flow.wait_for_credit():
            try:
                item = next(iterator)
            except StopIteration:
                return
            flow.send(item)
            del item
    finally:
        close = getattr(iterator, "close", None)
        if close is not None:
            close()


class Flow:
    """
    The items of one task.

    Args:
        task: The task.
        credit: How many may leave at first.
    """

    def __init__(self, task: RunningTask, credit: int) -> None:
        self._task = task
        self._credit = credit
        self._is_closed = False
        self._grants = task._desk.credits.setdefault(task.id, deque())

    def wait_for_credit(self) -> bool:
        """
        Wait until an item may leave.

        Returns:
            False if nobody wants one any more.

        Raises:
            BaseException: The reason of an abort, if it is an exception, else an ``AbortError``.
        """
        while True:
            self._take_grants()
            if self._is_closed:
                return False
            if self._credit > 0:
                self._credit -= 1
                return True
            self._wait()

    def _take_grants(self) -> None:
        while self._grants:
            frame = self._grants.popleft()
            (credit,) = CREDITS.unpack(frame.payload)
            self._is_closed = self._is_closed or credit < 0
            self._credit += credit

    def _wait(self) -> None:
        task = self._task
        task._heed()
        task._sleep(None, lambda: not (self._grants or task._is_to_stop))
        if task._is_to_stop:
            task.signal.throw_if_aborted()

    def send(self, item: object) -> None:
        """Send an item."""
        task = self._task
        try:
            packed = codec.pack(item, to_host=True, parcel=for_task)
        except Exception as error:
            point_out(error, {"item": item})
            raise
        ident = task.id | ITEM << SAYING_SHIFT
        parts = encode(EVENT, ident, packed.payload, packed.buffers, b"", len(packed.fds))
        task._desk.runner.post(parts, packed.fds, task._check)
