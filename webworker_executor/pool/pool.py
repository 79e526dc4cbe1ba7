"""
The pool: it tells the scheduler what happened and performs what the scheduler decides.

Events come from users in any thread and from the reactor; ``steps`` applies them one at a time.
What the scheduler returns is performed at once, in the thread that stands there: a task is written
to its worker's socket by the very call of ``submit``.
"""

from __future__ import annotations

import errno
import itertools
import logging
import struct
import threading
import time
from collections import deque
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from webworker_executor.errors import WorkerStartError
from webworker_executor.pool import broken
from webworker_executor.pool.answer import failure_opener, read_answer
from webworker_executor.pool.call import Call
from webworker_executor.pool.crew import Crew
from webworker_executor.pool.future import FailureAnswer
from webworker_executor.pool.promises import Promises
from webworker_executor.pool.steps import Steps
from webworker_executor.rules import action as do
from webworker_executor.rules.machine import InvalidTransition
from webworker_executor.rules.scheduler import UNKNOWN, ProtocolViolation, Scheduler, Unknown
from webworker_executor.rules.task import CANCELLED, DONE, QUEUED, SENT, Task
from webworker_executor.rules.worker import STARTING
from webworker_executor.web.host import host
from webworker_executor.web.worker import Worker
from webworker_executor.wire import frame as wire
from webworker_executor.wire.frame import ANSWER_PREFIX, Frame

if TYPE_CHECKING:
    from webworker_executor.link.reactor import Reactor
    from webworker_executor.pool.process import Birth, WorkerProcess
    from webworker_executor.web.events import EventsThread

# The system had no room for a process just now; it may have some soon.
_TRANSIENT = {errno.EAGAIN, errno.EMFILE, errno.ENFILE, errno.ENOMEM, errno.ENOBUFS, errno.ENOSPC}
_IDENT = struct.Struct(">Q")

_log = logging.getLogger("webworker_executor.pool")

Cause = Callable[[], BaseException | None]


def no_cause() -> None:
    """Give no cause."""


class Pool:
    """
    Workers, tasks and futures of one executor.

    Args:
        birth: What workers are born with.
        max_workers: How many there may be.
        max_tasks_per_worker: After how many tasks one is replaced; ``None`` for never.
        breaks_on_crash: Whether a worker's death breaks the pool, as the stdlib has it.

    Attributes:
        workers: The raw channels, by place.
        is_shut: Whether it was shut down.
        broken: Why it is broken, or ``None``.
        stopped: Set when every worker has left and none will come.
    """

    def __init__(
        self,
        birth: Birth,
        max_workers: int,
        *,
        max_tasks_per_worker: int | None,
        breaks_on_crash: bool,
    ) -> None:
        self._breaks_on_crash = breaks_on_crash
        self._steps = Steps(self._perform, self._recover, self._retry)
        self._scheduler = Scheduler(
            max_workers,
            eager=birth.launcher.starts_all_at_once,
            max_tasks_per_worker=max_tasks_per_worker,
            break_on_crash=breaks_on_crash,
        )
        self._agenda: deque[do.Action] = deque()
        self._is_performing = False
        self._idents = itertools.count(1)
        self.promises = Promises()
        self.crew = Crew(birth, self, max_workers)
        self.workers = [
            Worker(index, self.post_message, self.call_back, self.crew.pid_of)
            for index in range(max_workers)
        ]
        self._reactor: Reactor | None = None
        self._events: EventsThread | None = None
        # Whether a task can be taken without a second look.
        self.is_open = False
        self.is_shut = False
        self._is_foreign = False
        self.broken: str | None = None
        self._cause: Cause = no_cause
        self._last_error: BaseException | None = None
        self.stopped = threading.Event()
        self._performers: dict[type, Callable[[Any], None]] = {
            do.Send: self._send,
            do.Start: lambda action: self.crew.start(action.worker),
            do.Recall: lambda action: self.crew.processes[action.worker].recall(action.count),
            do.Retire: lambda action: self.crew.retire(action.worker),
            do.Fail: self._fail,
            do.Cancel: lambda action: self.promises.cancel(action.tasks),
            do.Break: self._break,
            do.Alarm: lambda action: self.crew.call_at(action.at, self._ring),
            do.Stopped: self._stop,
        }

    # -- what users do

    def open(self) -> None:
        """
        Make sure that a task can be taken.

        Raises:
            BrokenWorkerPool: The pool is broken.
            RuntimeError: It was shut down, the interpreter exits, this is a forked copy, or no
                thread can be started.
            OSError: No descriptor is left.
        """
        if self._is_foreign:
            raise RuntimeError(broken.IN_FORKED_CHILD)
        with self._steps.lock:
            if self.broken is not None:
                raise broken.broken(self.broken, self._cause())
            if self.is_shut:
                raise RuntimeError(broken.AFTER_SHUTDOWN)
            if self._reactor is None:
                self._reactor, self._events = host.acquire(self)
                self.promises.run_callbacks_on(self._events)
                self.crew.open(self._reactor)
            self.is_open = True

    def next_ident(self) -> int:
        """Number a new call."""
        return next(self._idents)

    def submit(self, call: Call) -> None:
        """Take a call; its future belongs to the pool from here. Raises as ``open``."""
        steps = self._steps
        with steps.lock:
            if not self.is_open:
                self.open()
            call.future._owner = self
            call.future._task = call
            try:
                # In the table first: whatever happens to the step, the call is not lost.
                self.promises.calls[call.ident] = call
                steps.inbox.append((self._scheduler.submitted, (call,)))
            except BaseException:
                steps.tear()
                raise
            steps.run()

    def want_worker(self, slot: int | None = None) -> None:
        """Start a worker though there is no task for it."""
        self.open()
        self._steps.bring(self._scheduler.wanted, slot)

    def abort(self, task: Task, reason: object, grace: float) -> None:
        """Stop a task wherever it is, and no other."""
        self._steps.bring(self._abort, task, reason, grace)

    def cancelled(self, task: Task) -> None:
        """Forget a call whose future was cancelled."""
        self._steps.bring(self._drop, task)

    def call_back(self, call: Callable[[], object]) -> None:
        """Run a user's code on the events thread."""
        self.promises.call_back(call)

    def post_message(self, index: int, parts: list[bytes | memoryview]) -> None:
        """Send a message to the worker in a place, starting one if need be. Raises as ``open``."""
        self.open()
        with self._steps.lock:
            process = self.crew.post_message(index, parts)
        if process is None:
            self.want_worker(index)
        else:
            process.flush()

    def break_(self, text: str, cause: Cause = no_cause) -> None:
        """Fail everything and take nothing more; the cause is made by who looks at it."""
        self._steps.bring(self._break_by, text, cause)

    def shutdown(self, *, cancel: bool = False) -> None:
        """Take no more tasks; workers leave when all is done. Returns at once."""
        if self._is_foreign:
            return
        self.is_shut = True
        self.is_open = False
        self._steps.bring(self._shut, cancel)

    def abandon(self) -> None:
        """Cancel what waits and kill what runs."""
        self.shutdown(cancel=True)
        if not self._is_foreign:
            self.break_(broken.ABANDONED)
            self.crew.kill_all()

    def wait(self) -> None:
        """Wait until every worker has left, every callback has run, and unused threads are gone."""
        events, reactor = self._events, self._reactor
        self.stopped.wait()
        self.promises.wait_for_callbacks()
        if events is None or reactor is None or events.is_current_thread:
            return
        if reactor.is_stopping:
            events.join()
            reactor.join()

    def finish_at_exit(self, *, interrupted: bool) -> None:
        """Finish pending work, or drop it when Ctrl-C is what ended the program."""
        try:
            if interrupted:
                self.abandon()
            else:
                self.shutdown()
            self.wait()
        except KeyboardInterrupt:
            self.abandon()
            self.wait()

    def disown_after_fork(self) -> None:
        """In a forked child: refuse everything, and let nobody wait for ever."""
        self._is_foreign = True
        self.is_open = False
        self._steps.reset_after_fork()
        self.crew.disown()
        self.promises.disown(RuntimeError(broken.IN_FORKED_CHILD))
        self.stopped.set()

    # -- steps

    def _perform(self, actions: do.Actions) -> None:
        """
        Perform actions, and those that performing them asks for, in the order they were asked for.

        A nested call only adds to the agenda: what the outer one has not come to was decided first.
        """
        agenda = self._agenda
        agenda.extend(actions)
        if self._is_performing:
            return
        self._is_performing = True
        try:
            while agenda:
                action = agenda.popleft()
                self._performers[type(action)](action)
        finally:
            self._is_performing = False

    def _retry(self) -> None:
        if self._reactor is not None:
            self._reactor.call_soon(self._steps.run)

    def _recover(self) -> None:
        """Build the queues anew from the table of calls and from what was given to a link."""
        self._agenda.clear()
        for worker, process in self.crew.processes.items():
            if process.is_open:
                worker.inflight = deque(
                    task for task in worker.inflight if isinstance(task, Call) and task.is_posted
                )
        # Submitted calls are in the table. Any other event can be applied twice.
        inbox = self._steps.inbox
        others = [item for item in inbox if item[0] != self._scheduler.submitted]
        inbox.clear()
        inbox.extend(others)
        self._settle({args[1].ident for event, args in others if event == self._answered})
        self._perform(self._scheduler.recover(self.promises.in_order()))
        self.crew.flush_all()

    def _settle(self, answered: set[int]) -> None:
        """Resolve the futures of calls that the torn step had settled, but for those in answers."""
        for call in self.promises.in_order():
            if call.state is CANCELLED:
                self.promises.cancel([call])
            elif call.state is DONE and call.ident not in answered and call.worker is not None:
                self._fail(do.Fail(call, call.worker))

    def _send(self, action: do.Send) -> None:
        process = self.crew.processes.get(action.worker)
        dropped = []
        for task in action.tasks:
            assert isinstance(task, Call)
            if not task.future._claim():
                dropped.append(task)
            elif process is not None:
                process.post(task)
        if process is not None:
            process.flush()
        for task in dropped:
            self.promises.calls.pop(task.ident, None)
            self._perform(self._scheduler.task_dropped(action.worker, task))

    def _fail(self, action: do.Fail) -> None:
        call = action.task
        assert isinstance(call, Call)
        process = self.crew.processes.get(action.worker)
        child = None if process is None else process.child
        error = broken.crashed(
            action.worker.slot,
            None if child is None else child.pid,
            None if child is None else child.exitcode,
            call.fn_name,
            "" if process is None else process.why,
        )
        self.promises.fail(call, error)

    def _break_by(self, text: str, cause: Cause) -> do.Actions:
        if self.broken is None:
            self.broken, self._cause = text, cause
        return self._scheduler.break_(text)

    def _break(self, action: do.Break) -> None:
        text = self.broken or broken.PENDING_IN_BROKEN
        if self.broken is None and action.worker is not None and not self._breaks_on_crash:
            error = self._last_error
            text, self._cause = broken.CANNOT_START, lambda: error
            self.broken = text
        self.is_open = False
        self.broken = self.broken or broken.SUBMIT_TO_BROKEN
        self.promises.fail_all(FailureAnswer(broken.raiser(text, self._cause)))
        self.crew.end_all()
        # Nothing will ever be submitted again, so that the last worker's end is the pool's.
        self._steps.inbox.append((self._scheduler.shutdown, ()))

    def _shut(self, cancel: bool) -> do.Actions:
        return self._scheduler.shutdown(cancel=cancel)

    def _ring(self) -> None:
        self._steps.bring(self._scheduler.clock, time.monotonic())

    def _stop(self, _: do.Stopped) -> None:
        for worker in self.workers:
            worker._close()
        self.crew.close(self._closed)

    def _closed(self) -> None:
        host.release(self)
        self.stopped.set()

    def _abort(self, task: Task, reason: object, grace: float) -> do.Actions:
        assert isinstance(task, Call)
        if task.state is not SENT and task.state is not QUEUED:
            return ()
        task.future._finish(None, broken.aborted(task.fn_name, reason))
        if task.state is QUEUED:
            self.promises.calls.pop(task.ident, None)
            return self._scheduler.task_cancelled(task)
        process = None if task.worker is None else self.crew.processes.get(task.worker)
        if process is not None and task.worker is not None and task.worker.inflight[0] is task:
            # The process is the task. What else it holds goes back to the queue when it ends.
            self.crew.stop_task(process, grace)
        return ()

    def _drop(self, task: Task) -> do.Actions:
        assert isinstance(task, Call)
        if task.state is not QUEUED:
            return ()
        self.promises.calls.pop(task.ident, None)
        task.future._claim()
        return self._scheduler.task_cancelled(task)

    # -- what processes do, told on the reactor's thread

    def launched(self, process: WorkerProcess) -> None:
        """Hear that a process exists, or will."""
        self._steps.bring(self._opened, process)

    def launch_failed(self, process: WorkerProcess, error: Exception) -> None:
        """Hear that a process could not be created."""
        self._last_error = error
        _log.warning("a worker could not be started: %s", error)
        self._steps.bring(self._unborn, process, getattr(error, "errno", None) in _TRANSIENT)

    def received(self, process: WorkerProcess, frame: Frame) -> None:
        """Take a frame from a worker."""
        kind = frame.kind
        if kind == wire.RESULT or kind == wire.RAISE:
            self._steps.bring(self._answered, process, frame)
        elif kind == wire.MESSAGE:
            self.workers[process.worker.slot]._arrive(frame)
        elif kind == wire.READY:
            self._steps.bring(self._readied, process)
        elif kind == wire.RETURNED:
            self._steps.bring(self._returned, process, frame)
        elif kind == wire.LOAD_ERROR:
            self.break_(broken.INITIALIZER_FAILED, failure_opener(bytes(frame.payload)))

    def exited(self, process: WorkerProcess) -> None:
        """Hear that a worker is dead and that all it wrote has been received."""
        self._steps.bring(self._buried, process)

    def _opened(self, process: WorkerProcess) -> do.Actions:
        self.crew.opened(process)
        return ()

    def _unborn(self, process: WorkerProcess, is_transient: bool) -> do.Actions:
        self.crew.forget(process)
        return self._scheduler.start_failed(
            process.worker, time.monotonic(), transient=is_transient
        )

    def _readied(self, process: WorkerProcess) -> do.Actions:
        try:
            return self._scheduler.worker_ready(process.worker)
        except InvalidTransition:
            process.kill("it said twice that it was ready")
            return ()

    def _answered(self, process: WorkerProcess, frame: Frame) -> do.Actions:
        call = self.promises.calls.get(frame.ident)
        if call is None or len(frame.payload) < ANSWER_PREFIX.size:
            if self.broken is None:
                process.kill("it answered a task that it was not given")
            return ()
        (microseconds,) = ANSWER_PREFIX.unpack_from(frame.payload)
        try:
            actions: do.Actions = ()
            # After a torn step the answer comes here a second time.
            if call.state is not DONE:
                actions = self._scheduler.task_finished(process.worker, call, microseconds / 1e6)
        except ProtocolViolation as error:
            process.kill(str(error))
            return ()
        # The next task is on its way before anybody is told of this one.
        if actions:
            self._perform(actions)
        del self.promises.calls[frame.ident]
        call.future._finish(read_answer(frame, self if self._breaks_on_crash else None))
        return ()

    def _returned(self, process: WorkerProcess, frame: Frame) -> do.Actions:
        idents = [ident for (ident,) in _IDENT.iter_unpack(frame.payload)]
        for ident in idents:
            call = self.promises.calls.get(ident)
            if call is not None:
                call.is_posted = False
        try:
            return self._scheduler.tasks_returned(process.worker, idents)
        except ProtocolViolation as error:
            process.kill(str(error))
            return ()

    def _buried(self, process: WorkerProcess) -> do.Actions:
        worker = process.worker
        if worker.state is STARTING:
            code = None if process.child is None else process.child.exitcode
            self._last_error = WorkerStartError(
                f"worker {worker.slot} (pid {process.pid}) {broken.how_it_ended(code)} before it "
                "was ready"
            )
            _log.warning("%s", self._last_error)
        begun = self._begun(process)
        for task in worker.inflight:
            assert isinstance(task, Call)
            task.is_posted = False
        self._perform(
            self._scheduler.worker_exited(
                worker,
                begun,
                time.monotonic(),
                asked=process.is_asked_to_stop,
                transient=process.was_killed,
            )
        )
        self.crew.forget(process)
        return ()

    def _begun(self, process: WorkerProcess) -> Task | Unknown | None:
        ident = process.begun()
        if ident is None:
            return UNKNOWN
        call = self.promises.calls.get(ident)
        if call is not None and call.worker is process.worker:
            return call
        # If it died while it was receiving the first task, that may be what killed it.
        return UNKNOWN if process.died_receiving else None
