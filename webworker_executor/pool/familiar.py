"""
What programs look at in a ``ProcessPoolExecutor`` though its name is private.

Not for anything new: what stands here exists because libraries and programs read, join or assign
it there.
"""

from __future__ import annotations

import time
from concurrent.futures import Executor

from webworker_executor.pool import starting

TYPE_CHECKING = False
if TYPE_CHECKING:
    import multiprocessing.context
    import threading
    from collections.abc import Callable
    from concurrent.futures import Future
    from typing import Any

    from webworker_executor.pool.call import Call
    from webworker_executor.pool.kin import Kin
    from webworker_executor.pool.pool import Pool


class Familiar:
    """
    An attribute that a program may put its own in the place of; the pool does not look at that.

    Args:
        read: What is found there otherwise.
    """

    def __init__(self, read: Callable[[Any], Any]) -> None:
        self._read = read

    # Without `__set__`: what is assigned is the instance's own, and found before this.
    def __get__(self, executor: Any, owner: type | None = None) -> Any:
        return self if executor is None else self._read(executor)


class FamiliarExecutor(Executor):
    """The private attributes of the standard library's executor, for one with a pool of ours."""

    if TYPE_CHECKING:
        _pool: Pool
        _asked_context: multiprocessing.context.BaseContext | str | None
        _max_tasks_per_child: int | None

    @Familiar
    def _max_workers(self) -> int:
        return self._pool.max_workers

    @Familiar
    def _processes(self) -> dict[int, Kin] | None:
        return None if self._pool.is_shut else self._pool.crew.children()

    @Familiar
    def _mp_context(self) -> multiprocessing.context.BaseContext:
        return starting.find_context(self._asked_context, self._max_tasks_per_child)

    @Familiar
    def _broken(self) -> str | bool:
        return self._pool.breakage.text or False

    @property
    def _shutdown_thread(self) -> bool:
        return self._pool.is_shut

    @_shutdown_thread.setter
    def _shutdown_thread(self, is_shut: bool) -> None:
        if is_shut:
            self.shutdown(wait=False)

    @Familiar
    def _pending_work_items(self) -> dict[int, WorkItem]:
        # Here a call leaves the table after its future is resolved; there, before.
        calls = self._pool.promises.calls.copy()
        return {ident: WorkItem(call) for ident, call in calls.items() if not call.future.done()}

    @Familiar
    def _executor_manager_thread(self) -> ManagerView | None:
        thread = None if self._pool.is_shut else self._pool.thread
        return None if thread is None else ManagerView(self._pool, thread)


class WorkItem:
    """
    A call that is not done, as the stdlib's manager keeps it: with its future.

    Its arguments are packed when it is submitted, and not kept.

    Args:
        call: The call.
    """

    def __init__(self, call: Call) -> None:
        self.future: Future[Any] = call.future
        self.fn: Callable[..., Any] | None = (
            None if call.definition is None else call.definition.given
        )


class ManagerView:
    """
    Stands for the stdlib's manager thread, which programs join after a shutdown.

    Args:
        pool: What that thread serves there.
        thread: What does so here, for this pool and others.
    """

    def __init__(self, pool: Pool, thread: threading.Thread) -> None:
        self._pool = pool
        self.name, self.ident, self.daemon = thread.name, thread.ident, thread.daemon

    def is_alive(self) -> bool:
        """Whether the pool has not ended."""
        return not self._pool.stopped.is_set()

    def join(self, timeout: float | None = None) -> None:
        """Wait until the pool has ended, at most ``timeout`` seconds."""
        if timeout is None:
            self._pool.wait()
            return
        deadline = time.monotonic() + timeout
        if self._pool.stopped.wait(timeout):
            self._pool.wait(max(0.0, deadline - time.monotonic()))
