"""
How a task is stopped: by asking it, if it is known to listen, and else together with its process.
"""

from __future__ import annotations

import time

from webworker_executor.pool import broken
from webworker_executor.pool.call import Call
from webworker_executor.rules.task import QUEUED, SENT
from webworker_executor.rules.worker import STARTING
from webworker_executor.wire import codec
from webworker_executor.wire.frame import CANCEL, encode

TYPE_CHECKING = False
if TYPE_CHECKING:
    from webworker_executor.pool.parts import PoolParts
    from webworker_executor.pool.process import WorkerProcess
    from webworker_executor.rules import action as do
    from webworker_executor.rules.task import Task
    from webworker_executor.wire.frame import Parts

# How long its worker may take to tell what it is doing, which takes a millisecond.
LAST_LOOK_SECONDS = 0.1
# Of a task that is said to be short, how long it may take to end all the same.
SHORT_SECONDS = 0.02
# How long a task that listens may take to end, and one that ignores SIGTERM, where nobody says.
STOP_SECONDS = 1.0


class Stopper:
    """
    Stops tasks of one pool.

    Args:
        parts: The pool's. Its scheduler is told of tasks that will never run.
    """

    def __init__(self, parts: PoolParts) -> None:
        self._scheduler = parts.scheduler
        self._promises = parts.promises
        self._crew = parts.crew
        self._steps = parts.steps
        self._chronicle = parts.chronicle

    def stop(
        self,
        task: Task,
        error: BaseException,
        reason: object,
        grace: float,
        *,
        cancels: bool = False,
    ) -> None:
        """
        End a task, wherever it is, and no other.

        Args:
            task: Which.
            error: What its future raises, from now on.
            reason: What its own signal gives as the reason.
            grace: Seconds that it has to end by itself if it listens; and seconds between SIGTERM
                and SIGKILL.
            cancels: Whether its future is cancelled instead of raising the error.
        """
        # Out here: packing runs a user's code.
        self._steps.bring(self._stop, task, error, _cancel_frame(task, reason), grace, cancels)

    def expire(self, call: Call, limit: float) -> None:
        """
        End a task whose time is over, when its worker has told what it is doing.

        Args:
            call: Which; on the reactor's thread.
            limit: How many seconds it was allowed to run.
        """
        process = None if call.worker is None else self._crew.processes.get(call.worker)
        if process is None or process.witness is None or process.child is None:
            self._expired(call, limit, "")
            return
        witness, has_ended = process.witness, False

        def end(text: str) -> None:
            nonlocal has_ended
            if not has_ended:
                has_ended = True
                self._expired(call, limit, text)

        def give_up() -> None:
            if not has_ended:
                end(witness.forget(end))

        self._crew.call_at(time.monotonic() + LAST_LOOK_SECONDS, give_up)
        witness.ask(process.child.send_signal, end)

    def _expired(self, call: Call, limit: float, stack: str) -> None:
        error = broken.overdue(call.fn_name, limit, stack)
        self.stop(call, error, TimeoutError(str(error)), STOP_SECONDS)

    def _stop(
        self, task: Task, error: BaseException, cancel: Parts, grace: float, cancels: bool
    ) -> do.Actions:
        assert isinstance(task, Call)
        if task.state is not SENT and task.state is not QUEUED:
            return ()
        conversation = task.future.__dict__.get("_conversation")
        has_waited = not task.future.done()
        if cancels:
            task.future._cancel_by_owner()
        else:
            task.future._finish(None, error)
        if has_waited:
            self._note(task, error)
        if task.state is QUEUED:
            self._promises.calls.pop(task.ident, None)
            return self._scheduler.task_cancelled(task)
        process = None if task.worker is None else self._crew.processes.get(task.worker)
        if process is None or task.worker is None:
            return ()
        if not task.is_posted:
            # Its process is not even there yet.
            self._promises.calls.pop(task.ident, None)
            return self._scheduler.task_dropped(task.worker, task)
        if task.worker.inflight[0] is not task:
            # It waits in its worker. If that has not come to it yet, it never will. But it may
            # have, with what it answered before still on its way.
            process.post_control(cancel)
            self._look_again(task, process, grace)
            return ()
        heeds = conversation is not None and conversation.heeds
        patience = min(_patience(task, process, grace, heeds=heeds), grace)
        if patience > 0:
            process.post_control(cancel)
            self._look_again(task, process, grace, patience)
        else:
            # The process is the task. What else it holds goes back to the queue when it ends.
            self._crew.stop_task(process, grace)
        return ()

    def _note(self, call: Call, error: BaseException) -> None:
        if isinstance(error, TimeoutError):
            self._promises.tally.n_timed_out += 1
        elif call.future.cancelled():
            self._promises.tally.n_cancelled += 1
        else:
            self._promises.tally.n_aborted += 1
        process = None if call.worker is None else self._crew.processes.get(call.worker)
        self._chronicle.task_stopped(call, error, process)

    def _look_again(
        self, task: Task, process: WorkerProcess, grace: float, seconds: float = SHORT_SECONDS
    ) -> None:
        self._crew.call_at(
            time.monotonic() + seconds,
            lambda: self._steps.apply(self._insist, task, process, grace),
        )

    def _insist(self, task: Task, process: WorkerProcess, grace: float) -> do.Actions:
        inflight = process.worker.inflight
        if process.worker not in self._crew.processes or task not in inflight:
            return ()
        if process.worker.state is STARTING or inflight[0] is not task:
            self._look_again(task, process, grace)
        elif process.begun() in {None, task.ident}:
            self._crew.stop_task(process, grace)
        else:
            # It will be passed over, in a moment.
            self._look_again(task, process, grace)
        return ()


def _patience(task: Task, process: WorkerProcess, grace: float, *, heeds: bool) -> float:
    """Return how many seconds a task has to end by itself, before its process is ended."""
    worker = process.worker
    has_begun = worker.state is not STARTING and process.begun() in {None, task.ident}
    if heeds or not has_begun:
        # What has not begun is passed over; unless it just begins, while the news travels.
        return grace
    # Where tasks are short, this one will be over when the signal arrives, which would hit another.
    return SHORT_SECONDS if worker.pace is not None and worker.pace < SHORT_SECONDS else 0.0


def _cancel_frame(task: Task, reason: object) -> Parts:
    try:
        packed = codec.pack(reason)
    except Exception:
        # It shall be stopped, also for a reason that cannot be told there.
        packed = codec.pack(repr(reason))
    return encode(CANCEL, task.ident, packed.payload, packed.buffers)
