"""
Futures of what a worker process does: when it is ready, how it ends.

They are resolved on the reactor's thread, where no code of a user may run: whoever waits is woken
at once, and callbacks run where handlers run.
"""

from __future__ import annotations

import asyncio
import threading
from collections import deque
from concurrent.futures._base import FINISHED, RUNNING
from typing import TYPE_CHECKING, Any, TypeVar

from webworker_executor.web.delivery import deliver_anyway
from webworker_executor.web.dispatch import dispatcher_here
from webworker_executor.web.lazy import LazyFuture, is_quick

if TYPE_CHECKING:
    from collections.abc import Callable, Generator

T = TypeVar("T")
U = TypeVar("U")


class WorkerOutcome(LazyFuture[T]):
    """
    Something that will be known of a worker. It cannot be cancelled, and can be awaited.

    Source: worker-process, the promises of a worker; PEP 3148.
    """

    def __init__(self) -> None:
        super().__init__()
        self._state = RUNNING
        self._dispatcher = dispatcher_here()
        self._derived: deque[tuple[WorkerOutcome[Any], Any]] = deque()
        # At once, where `done` may have to wait for somebody who counts futures.
        self.is_settled = False

    def __reduce__(self) -> Any:
        raise TypeError(
            "a WorkerOutcome cannot be sent: it belongs to the program that has the worker. Pass "
            "its result()"
        )

    def cancel(self) -> bool:
        """Return False: what becomes of a process does not depend on who wants to know."""
        return False

    def __await__(self) -> Generator[Any, None, T]:
        return asyncio.wrap_future(self).__await__()

    def settle(self, value: T | None = None, error: BaseException | None = None) -> None:
        """Resolve, unless that was done."""
        if not self.is_settled:
            self.is_settled = True
            self._settle(FINISHED, value, error)

    def then(self, value: U) -> WorkerOutcome[U]:
        """
        Return a future of something else, which resolves when this one does, or fails as it does.

        Args:
            value: What it resolves to. This one holds it no longer than until then.
        """
        outcome: WorkerOutcome[U] = WorkerOutcome()
        self._derived.append((outcome, value))
        # Whoever settles this one looks after it is done: one of the two sees what was appended.
        if self.done():
            self._settle_derived()
        return outcome

    def _settle_derived(self) -> None:
        while True:
            try:
                outcome, value = self._derived.popleft()
            except IndexError:
                return
            outcome.settle(value, self._exception)

    def disown(self, value: T | None = None, error: BaseException | None = None) -> None:
        """Resolve in a forked copy of the process, where nothing will be known any more."""
        # Its lock may have been held by a thread that is not here. The callbacks are the parent's.
        self._condition = threading.Condition()
        self._done_callbacks.clear()
        for outcome, later in self._derived:
            outcome.disown(later, error)
        self._derived.clear()
        # Whoever was to settle it may not be here either.
        self._settle(FINISHED, value, error)

    def _settled(self) -> None:
        self._wake()
        self._settle_derived()
        callbacks = self.__dict__.get("_done_callbacks")
        if not callbacks:
            return
        if all(map(is_quick, callbacks)):
            self._invoke_callbacks()
        else:
            self._dispatcher.call(self._invoke_callbacks)

    def _defer(self, call: Callable[[], object]) -> None:
        deliver_anyway(call)
