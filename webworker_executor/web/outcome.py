"""
Futures of what a worker process does: when it is ready, how it ends.

They are resolved on the reactor's thread, where no code of a user may run: whoever waits is woken
at once, and callbacks run where handlers run.
"""

from __future__ import annotations

import asyncio
import threading
from collections import deque
from concurrent.futures import Future
from typing import TYPE_CHECKING, Any, TypeVar

from webworker_executor.web.dispatch import dispatcher_here

if TYPE_CHECKING:
    from collections.abc import Generator

T = TypeVar("T")
U = TypeVar("U")


class WorkerOutcome(Future[T]):
    """
    Something that will be known of a worker. It cannot be cancelled, and can be awaited.

    Source: worker-process, the promises of a worker; PEP 3148.
    """

    def __init__(self) -> None:
        super().__init__()
        self._dispatcher = dispatcher_here()
        self._derived: deque[tuple[WorkerOutcome[Any], Any]] = deque()
        self.set_running_or_notify_cancel()

    def cancel(self) -> bool:
        """Return False: what becomes of a process does not depend on who wants to know."""
        return False

    def __await__(self) -> Generator[Any, None, T]:
        return asyncio.wrap_future(self).__await__()

    def settle(self, value: T | None = None, error: BaseException | None = None) -> None:
        """Resolve, unless that was done."""
        if self.done():
            return
        if error is not None:
            self.set_exception(error)
        else:
            self.set_result(value)  # type: ignore[arg-type]  # None where T has it
        self._settle_derived()

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
        error = self.exception(0)
        while True:
            try:
                outcome, value = self._derived.popleft()
            except IndexError:
                return
            outcome.settle(value, error)

    def disown(self, value: T | None = None, error: BaseException | None = None) -> None:
        """Resolve in a forked copy of the process, where nothing will be known any more."""
        # Its lock may have been held by a thread that is not here. The callbacks are the parent's.
        self._condition = threading.Condition()
        self._done_callbacks.clear()  # type: ignore[attr-defined]  # typeshed leaves private names out
        for outcome, later in self._derived:
            outcome.disown(later, error)
        self._derived.clear()
        self.settle(value, error)

    def _invoke_callbacks(self) -> None:
        callbacks = self._done_callbacks  # type: ignore[attr-defined]  # typeshed leaves private names out
        if not callbacks:
            return
        if all(getattr(call, "__module__", "") == "asyncio.futures" for call in callbacks):
            # One call_soon_threadsafe each, which is no code of a user.
            super()._invoke_callbacks()  # type: ignore[misc]  # as above
        else:
            self._dispatcher.call(super()._invoke_callbacks)  # type: ignore[misc]  # as above
