"""
The chronicle of a pool: what happened to its workers and tasks, told once to whoever wants to know.

Each fact is counted, logged and given to observers here and nowhere else. A changer must know:
facts are noted under the pool's lock or on the reactor's thread, and handlers of ``logging`` as
well as observers are code of the user; so both run on the events thread, where each observer, and
the loggers as one, have their facts in turn: one that is slow is not entered twice. While nobody
observes and the level is not logged, a fact costs a look at both.
"""

from __future__ import annotations

import functools
import logging
import time

from webworker_executor import observe
from webworker_executor.launch.exit_status import how_it_ended, signal_name
from webworker_executor.observe import PoolEvent
from webworker_executor.pool import broken
from webworker_executor.rules.worker import STARTING
from webworker_executor.web.in_turn import InTurn

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any

    from webworker_executor.pool.call import Call
    from webworker_executor.pool.process import WorkerProcess

    Observer = Callable[[PoolEvent], object]

# What they say, futures tell as well: a program that has not set up logging need not read it twice.
_workers = logging.getLogger("webworker_executor.pool.workers")
_workers.addHandler(logging.NullHandler())
_tasks = logging.getLogger("webworker_executor.pool.tasks")
_tasks.addHandler(logging.NullHandler())


class Chronicle:
    """
    Tells what happens in one pool.

    Args:
        name: The pool's, which stands in front of each line.
        call_back: Makes a call on the events thread.

    Attributes:
        n_started: How many workers have come up.
        n_died: How many have ended though nobody had asked them to.
        n_replaced: How many of those that came up took the place of another.
    """

    def __init__(self, name: str, call_back: Callable[[Callable[[], object]], object]) -> None:
        self._prefix = f"{name}: " if name else ""
        self._call_back = call_back
        # Each under an object of its own, so that one may be there twice. Without a lock: threads
        # may come at once, and handlers between, but each change is a single step of a dict.
        self._observers: dict[object, tuple[Observer, InTurn]] = {}
        self._lines = InTurn()
        self._last_pids: dict[int, int | None] = {}
        self.n_started = 0
        self.n_died = 0
        self.n_replaced = 0

    def observe(self, observer: Observer) -> Callable[[], None]:
        """Give every fact from now on to an observer; returns what ends that."""
        key = object()
        self._observers[key] = observer, InTurn()

        def stop() -> None:
            self._observers.pop(key, None)

        return stop

    # -- workers

    def worker_started(self, process: WorkerProcess) -> None:
        """Note that a worker is up and can run tasks."""
        slot, pid = process.worker.slot, process.pid
        self.n_started += 1
        level, text = logging.DEBUG, f"{process.title} is up"
        if slot in self._last_pids:
            self.n_replaced += 1
            level, text = logging.INFO, f"{text}, in the place of pid {self._last_pids[slot]}"
        self._last_pids[slot] = pid
        self._tell(_workers, level, observe.WORKER_STARTED, text, worker=slot, pid=pid)

    def worker_exited(self, process: WorkerProcess, task: str | None, *, was_asked: bool) -> None:
        """
        Note that a worker has ended.

        Args:
            process: Which.
            task: What it was running.
            was_asked: Whether the pool wanted that.
        """
        code = process.exitcode
        text = f"{process.title} {how_it_ended(code)}"
        if task is not None:
            text += f" while running {task}"
        if process.worker.state is STARTING and process.load_error is None:
            text += " before it was ready"
        elif process.is_asked_to_stop:
            text += ", to stop that task"
        elif process.load_error is not None:
            text += ", because its initializer failed"
        is_stop = process.is_asked_to_stop or process.load_error is not None
        if process.why and not is_stop:
            text += f"; it was killed because {process.why}"
        self.n_died += not was_asked
        level = logging.INFO if is_stop else logging.DEBUG
        self._tell(
            _workers,
            level if was_asked else logging.WARNING,
            observe.WORKER_EXITED,
            text,
            worker=process.worker.slot,
            pid=process.pid,
            exitcode=code,
            signal_name=signal_name(code),
            task=task,
            was_asked=was_asked,
        )

    def worker_outgrew(self, process: WorkerProcess, nbytes: int) -> None:
        """Note that a worker leaves, because it uses so many bytes after a task."""
        text = (
            f"{process.title} leaves: it uses {nbytes >> 20} MiB of memory, more than "
            "max_memory_per_child allows"
        )
        slot, pid = process.worker.slot, process.pid
        self._tell(_workers, logging.INFO, observe.WORKER_OUTGREW, text, worker=slot, pid=pid)

    # -- tasks

    def task_crashed(self, call: Call, error: Any) -> None:
        """Note that a task fails with a ``WorkerCrashedError``."""
        self._tell(
            _tasks,
            logging.DEBUG,
            observe.TASK_CRASHED,
            f"{call.fn_name} (task {call.ident}) failed with its worker (pid {error.pid})",
            worker=None if call.worker is None else call.worker.slot,
            pid=error.pid,
            exitcode=error.exitcode,
            signal_name=error.signal_name,
            task=call.fn_name,
        )

    def task_retried(self, call: Call, process: WorkerProcess) -> None:
        """Note that a task will run again after the death of its worker."""
        text = f"{call.fn_name} (task {call.ident}) runs again after the death of {process.title}"
        self._tell_of(observe.TASK_RETRIED, logging.INFO, text, call, process)

    def task_stopped(self, call: Call, error: BaseException, process: WorkerProcess | None) -> None:
        """Note that a task was stopped with an error: that it was aborted, or its time was over."""
        text = f"task {call.ident}: {error}"
        if isinstance(error, TimeoutError):
            self._tell_of(observe.TASK_TIMED_OUT, logging.WARNING, text, call, process)
        else:
            self._tell_of(observe.TASK_ABORTED, logging.INFO, text, call, process)

    # -- the pool

    def workers_cannot_start(self, n_tasks: int, why: BaseException | None) -> None:
        """Note that what waited has failed, and that the next call is tried anew."""
        text = f"no worker could be started for {n_tasks} tasks that waited: {why}"
        self._tell(_workers, logging.ERROR, observe.WORKERS_CANNOT_START, text)

    def pool_broken(self, why: str) -> None:
        """Note that no task will be taken any more."""
        was_asked = why in {broken.ENDED_BY_FORCE, broken.ABANDONED, broken.OUT_OF_TIME}
        level = logging.INFO if was_asked else logging.ERROR
        text = f"the pool takes no more tasks: {why}"
        self._tell(_workers, level, observe.POOL_BROKEN, text, was_asked=was_asked)

    # -- telling

    def _tell_of(
        self, kind: str, level: int, text: str, call: Call, process: WorkerProcess | None
    ) -> None:
        slot, pid = (None, None) if process is None else (process.worker.slot, process.pid)
        self._tell(_tasks, level, kind, text, worker=slot, pid=pid, task=call.fn_name)

    def _tell(self, log: logging.Logger, level: int, kind: str, text: str, **fields: Any) -> None:
        observers = tuple(self._observers.values())
        is_logged = log.isEnabledFor(level)
        if not observers and not is_logged:
            return
        text = self._prefix + text
        if is_logged:
            self._lines.call(functools.partial(log.log, level, "%s", text), self._call_back)
        if observers:
            now = time.time()  # noqa: TID251  # for people, who compare it with their logs
            event = PoolEvent(kind, text, now, **fields)
            for observer, turns in observers:
                # Each in a call of its own: one that raises is logged, and the others are told.
                turns.call(functools.partial(observer, event), self._call_back)
