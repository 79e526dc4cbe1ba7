"""
What programs look at in a ``ProcessPoolExecutor`` though its name is private.

Not for anything new: what stands here exists because libraries and programs read or join it there.
"""

from __future__ import annotations

from concurrent.futures import Executor

from webworker_executor.pool import starting

TYPE_CHECKING = False
if TYPE_CHECKING:
    import multiprocessing.context
    from concurrent.futures import Future
    from typing import Any

    from webworker_executor.launch.launcher import Child
    from webworker_executor.pool.pool import Pool


class FamiliarExecutor(Executor):
    """The private attributes of the standard library's executor, for one with a pool of ours."""

    if TYPE_CHECKING:
        _pool: Pool
        _asked_context: multiprocessing.context.BaseContext | str | None
        _max_tasks_per_child: int | None

    @property
    def _processes(self) -> dict[int, Child] | None:
        return None if self._pool.is_shut else self._pool.crew.children()

    @property
    def _mp_context(self) -> multiprocessing.context.BaseContext:
        return starting.find_context(self._asked_context, self._max_tasks_per_child)

    @property
    def _broken(self) -> str | bool:
        return self._pool.breakage.text or False

    @property
    def _shutdown_thread(self) -> bool:
        return self._pool.is_shut

    @property
    def _pending_work_items(self) -> dict[int, Future[Any]]:
        # Here a call leaves the table after its future is resolved; there, before.
        calls = self._pool.promises.calls.copy()
        return {ident: call.future for ident, call in calls.items() if not call.future.done()}

    @property
    def _executor_manager_thread(self) -> starting.ManagerView | None:
        return None if self._pool.is_shut else starting.ManagerView(self._pool.wait)
