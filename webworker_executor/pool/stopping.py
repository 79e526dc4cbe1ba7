"""
How a task is stopped: by asking it, if it is known to listen, and else together with its process.

What a changer must know: the host learns late what a worker does, and whatever it sends may come
when the task has ended and the next one runs. So it is the worker's control thread that signals its
own process, if the task runs by then. Only of a worker that does not even hear of that, because a
task keeps the interpreter to itself or the process is stopped, the host signals the process.
"""

from __future__ import annotations

import signal
import time
import weakref

from webworker_executor.pool import broken
from webworker_executor.pool.call import Call
from webworker_executor.pool.crew import STORE_SECONDS
from webworker_executor.pool.room import Bounded
from webworker_executor.pool.talk import taken_back
from webworker_executor.rules.supervisor import not_begun
from webworker_executor.rules.task import QUEUED, SENT
from webworker_executor.rules.worker import STARTING
from webworker_executor.wire import codec
from webworker_executor.wire.frame import encode
from webworker_executor.wire.kinds import CANCEL
from webworker_executor.wire.shown import LONG, shown

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from webworker_executor.pool.parts import PoolParts
    from webworker_executor.pool.process import WorkerProcess
    from webworker_executor.rules import action as do
    from webworker_executor.rules.task import Task
    from webworker_executor.rules.worker import Worker
    from webworker_executor.wire.frame import Parts

    # A signal, whether it is forced, the seconds until the next measure, and those that what the
    # task has started may go on.
    Measure = tuple[int, bool, float, float]

# How long its worker may take to tell what it is doing, which takes a millisecond, and more only if
# it does not hear of being asked and has to be signalled.
LAST_LOOK_SECONDS = 0.2
# How long a task that listens may take to end, and one that ignores SIGTERM, where nobody says.
STOP_SECONDS = 1.0
# How soon to look again at a worker that has not come to the task, or was about to pass it over;
# each time twice as long, for what it hears of in time, which is nearly all, it passes over.
AGAIN_SECONDS = 0.02
LONGEST_AGAIN_SECONDS = 1.28
# How long a worker may take to say that it has heard; afterwards it does nothing about it.
REPLY_SECONDS = 0.1
# How long one that was asked for a task it has not begun may take to answer, which its control
# thread does at once; then the task is taken from it. And how long it may be deaf after that.
ANSWER_SECONDS = 1.0
DEAF_SECONDS = 5.0


class Pursuit:
    """
    What is done to end one task.

    Args:
        grace: As for ``Stopper.stop``.

    Attributes:
        measures: Those that are left.
        again: In how many seconds to look again at a worker that has not come to the task.
        due: When such a worker is taken for one that may not hear.
        has_asked: Whether it was asked for the task since.
    """

    __slots__ = ("again", "due", "has_asked", "measures")

    def __init__(self, grace: float) -> None:
        self.measures = _measures(grace)
        self.again = AGAIN_SECONDS
        self.due = time.monotonic() + max(grace, REPLY_SECONDS)
        self.has_asked = False


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

    def cancel(self, call: Call, *, runs_too: bool) -> None:
        """
        Cancel a task that was handed to a worker, if it has not begun or is to be stopped.

        Args:
            call: Which.
            runs_too: Whether it is stopped wherever it is; else only where its worker is not up.
        """
        if runs_too:
            error = broken.aborted(call.fn_name, "its future was cancelled")
            self.stop(call, error, None, STOP_SECONDS, cancels=True)
            return
        worker = call.worker
        # Not left for an outer call, which would cancel what is said here to go on.
        if worker is not None and worker.state is STARTING and not self._steps.is_held_here:
            self._steps.bring(self._withdraw, call)

    def _withdraw(self, call: Call) -> do.Actions:
        worker, process = call.worker, self._crew.process_of(call)
        is_sent = call.state is SENT and not call.future.done()
        if not is_sent or worker is None or process is None or worker.state is not STARTING:
            return ()
        if call.is_posted:
            # It may come up at this very line. So it is kept from beginning anything first, and
            # looked at then: either its note is there, or it will pass the task over.
            self._steps.perform(self._scheduler.unheard(worker) if worker.is_noted else ())
            # What it was storing just then is seen after that: the caller waits for the answer.
            time.sleep(STORE_SECONDS)
            if call not in not_begun(worker, process.begun()):
                return ()
        call.future._cancel_by_owner()
        self._promises.tally.n_cancelled += 1
        call.is_posted = False
        taken_back(call, self._crew.talks)
        actions = self._scheduler.task_dropped(worker, call)
        self._promises.forget(call)
        return actions

    def expire(self, call: Call, limit: float) -> None:
        """
        End a task whose time is over, when its worker has told what it is doing.

        Args:
            call: Which; on the reactor's thread.
            limit: How many seconds it was allowed to run.
        """
        process = self._crew.process_of(call)
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
        witness.ask(process.child, end)

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
            # Out of the table only afterwards: after a tear it is found there.
            actions = self._scheduler.task_cancelled(task)
            self._promises.forget(task)
            return actions
        process = self._crew.process_of(task)
        if process is None or task.worker is None:
            return ()
        if not task.is_posted:
            # Its process is not even there yet.
            actions = self._scheduler.task_dropped(task.worker, task)
            self._promises.forget(task)
            return actions
        if isinstance(self._promises.calls, Bounded):
            # It is in the table until its worker is rid of it.
            self._promises.calls.stop(task.ident)
        # What it has not come to yet it passes over.
        process.post_control(cancel)
        pursuit = Pursuit(grace)
        if conversation is not None and conversation.heeds:
            self._look_again(task, process, pursuit, grace)
            return ()
        self._insist(task, process, pursuit)
        # One that is not up may never be, nor hear anything.
        is_up = task.worker.state is not STARTING
        return () if is_up or not task.worker.is_noted else self._scheduler.unheard(task.worker)

    def _note(self, call: Call, error: BaseException) -> None:
        if isinstance(error, TimeoutError):
            self._promises.tally.n_timed_out += 1
        elif call.future.cancelled():
            self._promises.tally.n_cancelled += 1
        else:
            self._promises.tally.n_aborted += 1
        process = self._crew.process_of(call)
        self._chronicle.task_stopped(call, error, process)

    def _look_again(
        self,
        task: Task,
        process: WorkerProcess,
        pursuit: Pursuit,
        seconds: float,
    ) -> None:
        # Weakly: a long time must not keep what has ended before it is over.
        ident, reference = task.ident, weakref.ref(process)

        def look() -> None:
            process = reference()
            held = () if process is None else tuple(process.worker.inflight)
            for task in held:
                if task.ident == ident:
                    self._steps.apply(self._insist, task, process, pursuit)

        # In the reactor's next round: what the worker had said by then has been read.
        self._crew.call_at(time.monotonic() + seconds, lambda: self._crew.call_soon(look))

    def _insist(self, task: Task, process: WorkerProcess, pursuit: Pursuit) -> do.Actions:
        worker = process.worker
        if worker not in self._crew.processes or task not in worker.inflight:
            return ()
        if not _is_running(task, process):
            # It may be so with the next look, by what is still on its way.
            self._look_again(task, process, pursuit, pursuit.again)
            pursuit.again = min(2 * pursuit.again, LONGEST_AGAIN_SECONDS)
            return self._ask_back(task, process, pursuit)
        for number, is_forced, seconds, rest in pursuit.measures:
            # What else it holds goes back to the queue when it ends.
            process.stopped_task = task.ident
            now = time.monotonic()
            process.rest_until = now + rest
            if not is_forced:
                process.signal_task(task.ident, number, now + REPLY_SECONDS)
            elif number == signal.SIGKILL or process.signaled_task != task.ident:
                process.end(number, rest)
            self._look_again(task, process, pursuit, seconds)
            break
        return ()

    def _ask_back(self, task: Task, process: WorkerProcess, pursuit: Pursuit) -> do.Actions:
        """Have a task back whose worker has nothing before it and has not come to it."""
        worker = process.worker
        is_next = worker.state is not STARTING and worker.inflight[0] is task
        if pursuit.has_asked or not is_next or time.monotonic() < pursuit.due:
            return ()
        pursuit.has_asked = True
        n_returned, reference = process.n_returned, weakref.ref(process)

        def look(decide: Callable[[Worker], do.Actions]) -> None:
            process = reference()
            # If it has said a word since, it hears, and will come to what it was sent.
            if process is not None and process.n_returned == n_returned:
                self._steps.apply(decide, process.worker)

        asked_at = time.monotonic()
        withhold, lose = self._scheduler.unheard, self._scheduler.worker_lost
        self._crew.call_at(asked_at + ANSWER_SECONDS, lambda: look(withhold))
        self._crew.call_at(asked_at + ANSWER_SECONDS + DEAF_SECONDS, lambda: look(lose))
        return self._scheduler.asked_back(worker)

    def take_unbegun(self, before: dict[Worker, tuple[Task, float]]) -> do.Actions:
        """
        Take back what lies in workers that do not come to it, now and every second from now on.

        For a pool that was shut, where what has not begun is cancelled. One that is not up is given
        longer: of a machine that has much to do some tasks are to be done, too.

        Args:
            before: The first task of each that had not come to it a second ago, and since when.
        """
        unbegun: dict[Worker, tuple[Task, float]] = {}
        actions: list[do.Action] = []
        now = time.monotonic()
        for worker, process in self._crew.processes.items():
            is_up, begun = worker.state is not STARTING, process.begun()
            head = worker.inflight[0] if worker.inflight else None
            if head is None or begun == head.ident or (begun is None and is_up):
                continue
            first, since = before.get(worker, (head, now))
            unbegun[worker] = head, since if first is head else now
            if now - unbegun[worker][1] >= (ANSWER_SECONDS if is_up else DEAF_SECONDS):
                actions += self._scheduler.unheard(worker)
        self._crew.call_at(
            time.monotonic() + ANSWER_SECONDS,
            lambda: self._steps.apply(self.take_unbegun, unbegun),
        )
        return actions


def _is_running(task: Task, process: WorkerProcess) -> bool:
    worker = process.worker
    if worker.state is STARTING or worker.inflight[0] is not task:
        return False
    return process.begun() in {None, task.ident}


def _measures(grace: float) -> Iterator[Measure]:
    """
    Say what is done to end a task, one after the other, as long as it runs.

    Returns:
        The number of a signal; whether the host sends it, where the worker has not replied; the
        seconds until the next, and until the end of what the task has started.
    """
    yield signal.SIGTERM, False, min(REPLY_SECONDS, grace), grace
    if grace > REPLY_SECONDS:
        yield signal.SIGTERM, True, grace - REPLY_SECONDS, grace - REPLY_SECONDS
    yield signal.SIGKILL, False, REPLY_SECONDS, 0.0
    yield signal.SIGKILL, True, REPLY_SECONDS, 0.0


def _cancel_frame(task: Task, reason: object) -> Parts:
    try:
        packed = codec.pack(reason)
    except Exception:
        # It shall be stopped, also for a reason that cannot be told there.
        packed = codec.pack(shown(reason, LONG))
    return encode(CANCEL, task.ident, packed.payload, packed.buffers)
