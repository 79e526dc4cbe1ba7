"""
Reports: what processes do, brought to the scheduler.

It is heard on the reactor's thread, but for an answer that the thread that waits has read itself.
"""

from __future__ import annotations

import errno
import functools
import logging
import time

from webworker_executor.link.journal import Journal
from webworker_executor.pool import broken
from webworker_executor.pool.answer import read_failure, read_result
from webworker_executor.pool.burial import Burial
from webworker_executor.pool.talk import heard, taken_back
from webworker_executor.rules.machine import InvalidTransition
from webworker_executor.rules.scheduler import ProtocolViolation
from webworker_executor.rules.supervisor import not_begun
from webworker_executor.web.host import host
from webworker_executor.web.message import REGISTERED
from webworker_executor.wire import kinds
from webworker_executor.wire.kinds import ANSWER_PREFIX

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

    from webworker_executor.link.local import Link
    from webworker_executor.pool.call import Call
    from webworker_executor.pool.division import Division
    from webworker_executor.pool.parts import PoolParts
    from webworker_executor.pool.performer import Performer
    from webworker_executor.pool.process import WorkerProcess
    from webworker_executor.rules import action as do
    from webworker_executor.rules.worker import Worker
    from webworker_executor.web.pool_worker import PoolWorker
    from webworker_executor.wire.frame import Frame

# The system had no room for a process just now; it may have some soon.
_TRANSIENT = {errno.EAGAIN, errno.EMFILE, errno.ENFILE, errno.ENOMEM, errno.ENOBUFS, errno.ENOSPC}

_log = Journal("webworker_executor.pool")


class Reports:
    """
    Hears the processes of one pool.

    Args:
        parts: The pool's. Its scheduler is told.
        performer: Who performs, where the order matters.
        workers: The raw channels, by place.
        division: Takes what is given back of chunks.
    """

    def __init__(
        self,
        parts: PoolParts,
        performer: Performer,
        workers: Sequence[PoolWorker],
        division: Division,
    ) -> None:
        self._scheduler = parts.scheduler
        self._promises = parts.promises
        self._crew = parts.crew
        self._breakage = parts.breakage
        self._steps = parts.steps
        self._chronicle = parts.chronicle
        self._performer = performer
        self._burial = Burial(parts, performer, self._broken)
        self._workers = workers
        self._division = division

    def break_(self, text: str, cause: Callable[[], BaseException | None] = lambda: None) -> None:
        """Fail everything and take nothing more; the cause is made by who looks at it."""
        self._steps.bring(self._broken, text, cause)

    def _broken(self, text: str, cause: Callable[[], BaseException | None]) -> do.Actions:
        self._breakage.note(text, cause)
        return self._scheduler.break_(text)

    def launched(self, process: WorkerProcess) -> None:
        """Hear that a process exists, or will."""
        self._steps.apply(self._opened, process)

    def launch_failed(self, process: WorkerProcess, error: Exception) -> None:
        """Hear that a process could not be created."""
        self._breakage.last_error = error
        # From 3.12 nothing can be forked once the program has begun to end. A replacement that
        # nobody waits for is no news then, and a task that does wait is told by its future.
        level = logging.DEBUG if host.is_exiting else logging.WARNING
        _log.log(level, "a worker could not be started: %s", error)
        self._steps.apply(self._unborn, process, getattr(error, "errno", None) in _TRANSIENT)

    def received(self, process: WorkerProcess, frames: list[Frame]) -> None:
        """Take the frames of one read: answers that stand together in one step."""
        answers: list[Frame] = []
        for frame in frames:
            kind = frame.kind
            if kind == kinds.RESULT or kind == kinds.RAISE or kind == kinds.REJECT:
                answers.append(frame)
                continue
            if answers:
                self._steps.apply(self._answered, process, answers)
                answers = []
            self._take(process, frame)
        if answers:
            self._steps.apply(self._answered, process, answers)

    def _take(self, process: WorkerProcess, frame: Frame) -> None:
        kind = frame.kind
        if kind == kinds.MESSAGE:
            self._scheduler.worker_used(process.worker)
            if frame.ident & REGISTERED:
                frame = self._registered(process, frame, 0)
            self._workers[process.worker.slot]._arrive(frame)
        elif kind == kinds.EVENT:
            if frame.ident >> kinds.SAYING_SHIFT & REGISTERED:
                frame = self._registered(process, frame, frame.ident & kinds.TASK_MASK)
            heard(frame, self._promises.calls)
        elif kind == kinds.READY:
            self._steps.apply(self._readied, process)
        elif kind == kinds.RETURNED:
            self._steps.apply(self._returned, process, frame)
        elif kind == kinds.DIVIDED:
            self._steps.apply(self._division.divided, process, frame)
        elif kind == kinds.SIGNALED:
            process.signaled_task = frame.ident
        elif kind == kinds.GROWN:
            self._steps.apply(self._grown, process, frame)
        elif kind == kinds.ESTATE:
            from webworker_executor.web.estate import inherit

            inherit(frame)
        elif kind == kinds.TRACKER:
            from webworker_executor.launch.tracker import share_tracker

            share_tracker(process.post_control)
        elif kind == kinds.LOG:
            logs = self._crew.birth.logs
            if logs is not None:
                logs.arrived(frame, self._promises.call_back)
        elif kind == kinds.LOAD_ERROR:
            # The pool breaks when the process has ended: what it logged has been written by then.
            process.leave(bytes(frame.payload))

    def _registered(self, process: WorkerProcess, frame: Frame, ident: int) -> Frame:
        give = functools.partial(process.give_receipt, ident)
        return self._crew.owe(frame, give)

    def withheld(self, process: WorkerProcess) -> None:
        """Hear that a worker begins nothing more of what it holds than it has begun."""
        self._steps.apply(self._withheld, process)

    def exited(self, process: WorkerProcess) -> None:
        """Hear that a worker is dead and that all it wrote has been received."""
        self._steps.apply(self._burial.bury, process)

    def _opened(self, process: WorkerProcess) -> do.Actions:
        self._crew.opened(process, self._steps.lock)
        return ()

    def _unborn(self, process: WorkerProcess, is_transient: bool) -> do.Actions:
        self._crew.forget(process)
        return self._scheduler.start_failed(
            process.worker, time.monotonic(), transient=is_transient
        )

    def _readied(self, process: WorkerProcess) -> do.Actions:
        try:
            actions = self._scheduler.worker_ready(process.worker)
        except InvalidTransition:
            process.kill("it said twice that it was ready")
            return ()
        self._chronicle.worker_started(process)
        if self._crew.talks.waiting:
            self._crew.talks.attend(process, self._crew)
        return actions

    def take_led(self, frame: Frame, process: WorkerProcess, link: Link, call: Call) -> bool:
        """
        Take the answer that a leader has read for its own call.

        Returns:
            False if it is no such answer; then it is still in the link.
        """
        is_answer = frame.kind == kinds.RESULT or frame.kind == kinds.RAISE
        if not is_answer or frame.ident != call.ident or len(frame.payload) < ANSWER_PREFIX.size:
            return False
        with self._steps.lock:
            if self._promises.calls.get(call.ident) is not call:
                return False
            try:
                # From this breath on the call has it, and `recover` finds it there.
                call.answer = frame
                link.leading.left.clear()
                # Whoever reads for it need not be called away.
                call.future._leader = None
                self._steps.do(self._led, process, call)
            except BaseException:
                self._steps.tear()
                raise
        return True

    def _led(self, process: WorkerProcess, call: Call) -> do.Actions:
        if call.answer is not None and self._promises.calls.get(call.ident) is call:
            self._answer(process, call.answer)
        return ()

    def recover(self) -> None:
        """Resolve calls whose reader was thrown out of the step that takes the answer."""
        for call in self._promises.in_order():
            if call.answer is not None:
                call.is_posted = False
                started, _ = ANSWER_PREFIX.unpack_from(call.answer.payload)
                self._resolve(call, call.answer, started)

    def _resolve(self, call: Call, frame: Frame, started: float) -> None:
        future, worker = call.future, call.worker
        if worker is not None:
            future._worker = self._workers[worker.slot]
        future._started_at = started
        if frame.kind == kinds.RESULT:
            answer = read_result(frame, self if self._breakage.on_crash else None)
        else:
            answer = read_failure(frame)
            self._promises.tally.n_failed += not future.done()
        future._finish(answer)
        # Out of the table only afterwards: after a tear it is found there.
        self._promises.forget(call)

    def _answered(self, process: WorkerProcess, frames: list[Frame]) -> do.Actions:
        if len(frames) == 1:
            self._answer(process, frames[0])
            return ()
        with self._performer.sending_together():
            for frame in frames:
                self._answer(process, frame)
        return ()

    def _answer(self, process: WorkerProcess, frame: Frame) -> None:
        calls, breakage = self._promises.calls, self._breakage
        call = calls.get(frame.ident)
        if call is None or len(frame.payload) < ANSWER_PREFIX.size:
            if not breakage.is_broken:
                process.kill("it answered a task that it was not given")
            return
        started, microseconds = ANSWER_PREFIX.unpack_from(frame.payload)
        try:
            actions = self._scheduler.task_finished(process.worker, call, microseconds / 1e6)
        except ProtocolViolation as error:
            process.kill(str(error))
            return
        # The next task is on its way before anybody is told of this one.
        if actions:
            self._performer.perform(actions)
        if self._crew.talks.waiting:
            self._crew.talks.attend(process, self._crew)
        if breakage.on_crash and frame.kind == kinds.REJECT:
            self.break_(broken.SUBMIT_TO_BROKEN)
            return
        self._resolve(call, frame, started)

    def _grown(self, process: WorkerProcess, frame: Frame) -> do.Actions:
        if len(frame.payload) == kinds.IDENT.size:
            (nbytes,) = kinds.IDENT.unpack(frame.payload)
            self._chronicle.worker_outgrew(process, nbytes)
        return self._scheduler.worker_outgrew(process.worker)

    def _returned(self, process: WorkerProcess, frame: Frame) -> do.Actions:
        idents = [ident for (ident,) in kinds.IDENT.iter_unpack(frame.payload)]
        worker, event = process.worker, self._scheduler.tasks_returned
        if process.n_withheld:
            # What was taken back without its help may be anywhere by now, or done.
            held = {task.ident for task in worker.inflight}
            idents = [ident for ident in idents if ident in held]
        if frame.ident == process.n_withheld != 0:
            # Of the last one; those before are on their way as well.
            event = self._scheduler.worker_hears
        process.n_returned += 1
        self._take_back(idents)
        dropped, actions = self._drop_ended(worker, idents)
        idents = [ident for ident in idents if ident not in dropped]
        try:
            return [*actions, *event(worker, idents)]
        except ProtocolViolation as error:
            process.kill(str(error))
            return actions

    def _withheld(self, process: WorkerProcess) -> do.Actions:
        worker = process.worker
        tasks = not_begun(worker, process.begun())
        self._take_back(task.ident for task in tasks)
        dropped, actions = self._drop_ended(worker, [task.ident for task in tasks])
        tasks = [task for task in tasks if task.ident not in dropped]
        return [*actions, *self._scheduler.tasks_withheld(worker, tasks)]

    def _drop_ended(
        self, worker: Worker, idents: Iterable[int]
    ) -> tuple[set[int], list[do.Action]]:
        # Of what comes back, that which was stopped: it is nobody's, and is not to wait for another
        # worker, which may never be up.
        dropped, back = set[int](), set(idents)
        actions: list[do.Action] = []
        for task in tuple(worker.inflight):
            call = self._promises.calls.get(task.ident)
            if task.ident in back and call is not None and call.future.done():
                dropped.add(task.ident)
                actions += self._scheduler.task_dropped(worker, task)
                self._promises.forget(call)
        return dropped, actions

    def _take_back(self, idents: Iterable[int]) -> None:
        for ident in idents:
            call = self._promises.calls.get(ident)
            if call is not None:
                call.is_posted = False
                taken_back(call, self._crew.talks)
