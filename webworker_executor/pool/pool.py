"""
The pool: it performs what the scheduler decides, and decides nothing.

Events come from everywhere: calls of users in any thread, frames and deaths on the reactor. Each is
applied under the one lock, and what the scheduler returns is performed before the lock is let go, in
the thread that stands there. No code of a user runs under the lock.

What a changer must know: on the main thread a signal handler may run between any two calls, and may
raise, or come back in here. Coming back finds ``_is_stepping`` set, leaves its event in the inbox and
returns; the outer call takes it. Raising tears the step: then nothing of the scheduler's queues is
believed any more, and ``_recover`` builds them anew from the two things that are exact at every
instant: the table of unresolved calls, and which of them were given to a link.
"""

from __future__ import annotations

import contextlib
import errno
import itertools
import logging
import os
import struct
import threading
import time
from collections import deque
from collections.abc import Callable, Sequence
from typing import Any

from webworker_executor.errors import WorkerStartError
from webworker_executor.launch.launcher import Child
from webworker_executor.link.ledger import Ledger
from webworker_executor.link.reactor import Reactor
from webworker_executor.pool import broken
from webworker_executor.pool.answer import failure_opener, read_answer
from webworker_executor.pool.call import Call
from webworker_executor.pool.future import FailureAnswer
from webworker_executor.pool.process import Birth, WorkerProcess
from webworker_executor.rules import action as do
from webworker_executor.rules.scheduler import UNKNOWN, ProtocolViolation, Scheduler, Unknown
from webworker_executor.rules.task import QUEUED, Task
from webworker_executor.rules.worker import CLOSING, DRAINING, EXITED, STARTING
from webworker_executor.rules.worker import Worker as Place
from webworker_executor.web.events import EventsThread
from webworker_executor.web.host import host
from webworker_executor.web.worker import Worker
from webworker_executor.wire.frame import (
    ANSWER_PREFIX,
    LOAD_ERROR,
    MESSAGE,
    RAISE,
    READY,
    RESULT,
    RETURNED,
    Frame,
)

# The system had no room for a process just now; it may have some soon.
_TRANSIENT = {errno.EAGAIN, errno.EMFILE, errno.ENFILE, errno.ENOMEM, errno.ENOBUFS, errno.ENOSPC}
_WAIT_FOR_LAUNCH_SECONDS = 30.0
IDENT = struct.Struct(">Q")

_log = logging.getLogger("webworker_executor.pool")


Cause = Callable[[], BaseException | None]


def no_cause() -> None:
    """Give no cause."""


def _raise(error: BaseException) -> object:
    raise error


class Pool:
    """
    Workers, tasks and futures of one executor.

    Args:
        birth: What workers are born with.
        max_workers: How many there may be.
        max_tasks_per_worker: After how many tasks one is replaced; ``None`` for never.
        breaks_on_crash: Whether a worker's death breaks the pool, as the stdlib has it.
    """

    def __init__(
        self,
        birth: Birth,
        max_workers: int,
        *,
        max_tasks_per_worker: int | None,
        breaks_on_crash: bool,
    ) -> None:
        self.birth = birth
        self.breaks_on_crash = breaks_on_crash
        # Guards all that follows.
        self._lock = threading.RLock()
        self._is_stepping = False
        self._is_torn = False
        self._inbox: deque[tuple[Callable[..., do.Actions], tuple[Any, ...]]] = deque()
        self._scheduler = Scheduler(
            max_workers,
            eager=birth.launcher.starts_all_at_once,
            max_tasks_per_worker=max_tasks_per_worker,
            break_on_crash=breaks_on_crash,
        )
        self._idents = itertools.count(1)
        self.calls: dict[int, Call] = {}
        self.processes: dict[Place, WorkerProcess] = {}
        self._messages: dict[int, list[list[bytes | memoryview]]] = {}
        self._reactor: Reactor | None = None
        self._events: EventsThread | None = None
        self._ledger: Ledger | None = None
        self.is_shut = False
        self._is_foreign = False
        self.broken: str | None = None
        self._cause: Cause = no_cause
        self._last_error: BaseException | None = None
        self._n_callbacks = 0
        self._callbacks_done = threading.Event()
        self.stopped = threading.Event()
        self.workers = [
            Worker(index, self.post_message, self.call_back, self.pid_of)
            for index in range(max_workers)
        ]
        self._perform_one: dict[type, Callable[[Any], None]] = {
            do.Send: self._send,
            do.Start: self._start,
            do.Recall: self._recall,
            do.Retire: self._retire,
            do.Fail: self._fail,
            do.Cancel: self._cancel,
            do.Break: self._break,
            do.Alarm: self._alarm,
            do.Stopped: self._stop,
        }

    # -- events from users

    def refuse(self) -> None:
        """
        Raise if no task can be taken.

        Raises:
            BrokenWorkerPool: The pool is broken.
            RuntimeError: It was shut down, the interpreter exits, or this is a forked copy.
        """
        if self._is_foreign:
            raise RuntimeError(broken.IN_FORKED_CHILD)
        if self.broken is not None:
            raise broken.broken(self.broken, self._cause())
        if self.is_shut:
            raise RuntimeError(broken.AFTER_SHUTDOWN)
        if host.is_exiting:
            raise RuntimeError(broken.AFTER_EXIT)

    def submit(self, call: Call) -> None:
        """Take a call; its future belongs to the pool from here."""
        call.future._owner = self
        call.future._task = call
        with self._lock:
            self.refuse()
            self._open()
            try:
                # In the table first: whatever happens to this step, the call is not lost.
                self.calls[call.ident] = call
                self._inbox.append((self._scheduler.submitted, (call,)))
            except BaseException:
                self._tear()
                raise
        self._step()

    def next_ident(self) -> int:
        """Number a new call."""
        return next(self._idents)

    def want_worker(self, slot: int | None = None) -> None:
        """Start a worker though there is no task for it."""
        with self._lock:
            self.refuse()
            self._open()
        self._post(self._scheduler.wanted, slot)

    def cancelled(self, task: Task) -> None:
        """Forget a call whose future was cancelled."""
        self._post(self._drop, task)

    def post_message(self, index: int, parts: list[bytes | memoryview]) -> None:
        """Send a message to the worker in a place, starting one if need be."""
        with self._lock:
            self.refuse()
            process = self._process_in(index)
            if process is not None and process.data is not None:
                process.data.post(parts)
            else:
                self._messages.setdefault(index, []).append(parts)
        if process is None:
            self.want_worker(index)
        else:
            process.flush()

    def shutdown(self, *, cancel: bool = False) -> None:
        """Take no more tasks; workers leave when all is done. Returns at once."""
        if self._is_foreign:
            return
        self.is_shut = True
        self._post(lambda: self._scheduler.shutdown(cancel=cancel))

    def signal_workers(self, *, kill: bool) -> None:
        """Send SIGTERM, or SIGKILL, to every worker."""
        for process in self._snapshot():
            if kill:
                process.kill()
            elif self._reactor is not None:
                self._reactor.call_soon(process.terminate)

    def break_(self, text: str, cause: Cause = no_cause) -> None:
        """Fail everything and take nothing more; the cause is unpacked by who looks at it."""
        if self.broken is None:
            self.broken, self._cause = text, cause
        self._post(self._scheduler.break_, text)

    def wait(self) -> None:
        """Wait until every worker has left and every callback has run."""
        events, reactor = self._events, self._reactor
        self.stopped.wait()
        if events is not None and reactor is not None and not events.is_current_thread:
            self._callbacks_done.wait()
            if not reactor.is_current_thread and reactor._stopping:
                events.join()
                reactor.thread.join()

    def _post(self, event: Callable[..., do.Actions], *args: object) -> None:
        self._inbox.append((event, args))
        self._step()

    def _open(self) -> None:
        if self._reactor is None:
            reactor, events = host.acquire(self)
            self._reactor, self._events = reactor, events
            self.birth.launcher.open(reactor)
            try:
                self._ledger = Ledger(2 * len(self.workers))
            except (OSError, AttributeError) as error:
                _log.info("no ledger, so that a worker's death costs its first task: %s", error)

    # -- steps

    def _step(self) -> None:
        with self._lock:
            if self._is_stepping:
                return
            self._is_stepping = True
            try:
                if self._is_torn:
                    self._recover()
                while self._inbox:
                    # Taken out only when it is done with: a torn step finds it again.
                    event, args = self._inbox[0]
                    self._perform(event(*args))
                    self._inbox.popleft()
            except BaseException:
                self._tear()
                raise
            finally:
                self._is_stepping = False

    def _tear(self) -> None:
        self._is_torn = True
        if self._reactor is not None:
            self._reactor.call_soon(self._step)

    def _recover(self) -> None:
        """Build the queues anew after an exception came out of the middle of a step."""
        self._is_torn = False
        for place, process in self.processes.items():
            if process.data is not None:
                place.inflight = deque(
                    task for task in place.inflight if isinstance(task, Call) and task.is_posted
                )
        # Submitted calls are in the table; any other event may be applied once more.
        submitted = self._scheduler.submitted
        self._inbox = deque(item for item in self._inbox if item[0] != submitted)
        unresolved = [self.calls[ident] for ident in sorted(self.calls)]
        self._perform(self._scheduler.recover(unresolved))
        for process in self.processes.values():
            process.flush()

    def _perform(self, actions: Sequence[do.Action]) -> None:
        for action in actions:
            self._perform_one[type(action)](action)

    # -- actions

    def _send(self, action: do.Send) -> None:
        process = self.processes.get(action.worker)
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
            self.calls.pop(task.ident, None)
            self._perform(self._scheduler.task_dropped(action.worker, task))

    def _start(self, action: do.Start) -> None:
        assert self._reactor is not None
        if action.worker in self.processes:
            return
        process = WorkerProcess(action.worker, self, self._reactor)
        self.processes[action.worker] = process
        self._reactor.call_soon(lambda: process.launch(self.birth, self._ledger))

    def _recall(self, action: do.Recall) -> None:
        self.processes[action.worker].recall(action.count)

    def _retire(self, action: do.Retire) -> None:
        process = self.processes.get(action.worker)
        if process is not None and self._reactor is not None:
            self._reactor.call_soon(process.close)

    def _fail(self, action: do.Fail) -> None:
        call = action.task
        assert isinstance(call, Call)
        self.calls.pop(call.ident, None)
        process = self.processes[action.worker]
        exitcode = None if process.child is None else process.child.exitcode
        error = broken.crashed(action.worker.slot, process.pid, exitcode, call.fn_name)
        if process.why:
            error.args = (f"{error.args[0]} It was killed because {process.why}.",)
        call.future._finish(None, error)

    def _cancel(self, action: do.Cancel) -> None:
        for task in action.tasks:
            assert isinstance(task, Call)
            self.calls.pop(task.ident, None)
            task.future._cancel_by_owner()

    def _break(self, action: do.Break) -> None:
        text = self.broken or broken.PENDING_IN_BROKEN
        if self.broken is None and action.worker is not None and not self.breaks_on_crash:
            error = self._last_error
            text, self._cause = broken.CANNOT_START, lambda: error
            self.broken = text
        self.broken = self.broken or broken.SUBMIT_TO_BROKEN
        cause = self._cause
        for task in {**dict.fromkeys(action.tasks), **dict.fromkeys(self.calls.values())}:
            assert isinstance(task, Call)
            task.future._finish(FailureAnswer(lambda: _raise(broken.broken(text, cause()))))
        self.calls.clear()
        for process in self.processes.values():
            if self._reactor is not None:
                self._reactor.call_soon(process.terminate)
        # Nothing will ever be submitted again, so that the last worker ends the pool.
        self._inbox.append((self._scheduler.shutdown, ()))

    def _alarm(self, action: do.Alarm) -> None:
        assert self._reactor is not None
        reactor = self._reactor

        def due() -> None:
            self._post(lambda: self._scheduler.clock(time.monotonic()))

        reactor.call_soon(lambda: reactor.call_at(action.at, due))

    def _stop(self, _: do.Stopped) -> None:
        for worker in self.workers:
            worker._close()
        for fd in self.birth.initializer_fds:
            _close_fd(fd)
        self.birth.initializer_fds = []
        if self._reactor is not None:
            if self._ledger is not None:
                self._ledger.close()
                self._ledger = None
            self.birth.launcher.close()
            if self._n_callbacks == 0:
                self._callbacks_done.set()
            host.release(self)
        self.stopped.set()

    # -- news of processes, on the reactor's thread

    def launched(self, process: WorkerProcess) -> None:
        """Send what waits for a process that now has a link."""
        self._post(self._opened, process)

    def launch_failed(self, process: WorkerProcess, error: Exception) -> None:
        """Hear that a process could not be created."""
        self._last_error = error
        _log.warning("a worker could not be started: %s", error)
        self._post(self._unborn, process, getattr(error, "errno", None) in _TRANSIENT)

    def received(self, process: WorkerProcess, frame: Frame) -> None:
        """Take a frame from a worker."""
        kind = frame.kind
        if kind == RESULT or kind == RAISE:
            self._post(self._answered, process, frame)
        elif kind == MESSAGE:
            self.workers[process.worker.slot]._arrive(frame)
        elif kind == READY:
            self._post(self._scheduler.worker_ready, process.worker)
        elif kind == RETURNED:
            self._post(self._returned, process, frame)
        elif kind == LOAD_ERROR:
            self.break_(broken.INITIALIZER_FAILED, failure_opener(bytes(frame.payload)))

    def exited(self, process: WorkerProcess) -> None:
        """Hear that a worker is dead and silent."""
        self._post(self._buried, process)

    def _opened(self, process: WorkerProcess) -> do.Actions:
        place = process.worker
        process.open()
        for task in place.inflight:
            assert isinstance(task, Call)
            process.post(task)
        for parts in self._messages.pop(place.slot, ()):
            assert process.data is not None
            process.data.post(parts)
        process.flush()
        return ()

    def _unborn(self, process: WorkerProcess, is_transient: bool) -> do.Actions:
        place = process.worker
        process.bury()
        self.processes.pop(place, None)
        return self._scheduler.start_failed(place, time.monotonic(), transient=is_transient)

    def _answered(self, process: WorkerProcess, frame: Frame) -> do.Actions:
        call = self.calls.get(frame.ident)
        if call is None or len(frame.payload) < ANSWER_PREFIX.size:
            if self.broken is None:
                process.kill("it answered a task that it was not given")
            return ()
        (microseconds,) = ANSWER_PREFIX.unpack_from(frame.payload)
        try:
            actions = self._scheduler.task_finished(process.worker, call, microseconds / 1e6)
        except ProtocolViolation as error:
            process.kill(str(error))
            return ()
        # The next task is on its way before anybody is told of this one.
        self._perform(actions)
        del self.calls[frame.ident]
        call.future._finish(read_answer(frame, self if self.breaks_on_crash else None))
        return ()

    def _returned(self, process: WorkerProcess, frame: Frame) -> do.Actions:
        idents = [ident for (ident,) in IDENT.iter_unpack(frame.payload)]
        for ident in idents:
            call = self.calls.get(ident)
            if call is not None:
                call.is_posted = False
        try:
            return self._scheduler.tasks_returned(process.worker, idents)
        except ProtocolViolation as error:
            process.kill(str(error))
            return ()

    def _buried(self, process: WorkerProcess) -> do.Actions:
        place = process.worker
        if place.state is STARTING:
            code = None if process.child is None else process.child.exitcode
            self._last_error = WorkerStartError(
                f"worker {place.slot} (pid {process.pid}) {broken.how_it_ended(code)} before it "
                "was ready"
            )
            _log.warning("%s", self._last_error)
        begun = self._begun(process)
        for task in place.inflight:
            assert isinstance(task, Call)
            task.is_posted = False
        self._perform(self._scheduler.worker_exited(place, begun, time.monotonic()))
        process.bury()
        self.processes.pop(place, None)
        return ()

    def _begun(self, process: WorkerProcess) -> Task | Unknown | None:
        ident = process.begun()
        if ident is None:
            return UNKNOWN
        call = self.calls.get(ident)
        if call is not None and call.worker is process.worker:
            return call
        # It died while it was receiving the first task: that may be what killed it.
        return UNKNOWN if process.died_receiving else None

    def _drop(self, task: Task) -> do.Actions:
        assert isinstance(task, Call)
        if task.state is not QUEUED:
            return ()
        self.calls.pop(task.ident, None)
        task.future._claim()
        return self._scheduler.task_cancelled(task)

    # -- views

    def pid_of(self, index: int) -> int | None:
        """Return the process id of the worker in a place."""
        process = self._process_in(index)
        return None if process is None else process.pid

    def _process_in(self, index: int) -> WorkerProcess | None:
        for place, process in list(self.processes.items()):
            if place.slot == index and place.state is not EXITED and place.state is not CLOSING:
                return process
        return None

    def _snapshot(self) -> list[WorkerProcess]:
        return list(self.processes.values())

    def children(self) -> dict[int, Child]:
        """Return the living workers by process id, waiting for those that are being started."""
        current = []
        with self._lock:
            for place, process in self.processes.items():
                if place.state is not CLOSING and place.state is not DRAINING:
                    current.append(process)
        found = {}
        for process in current:
            if self._reactor is not None and not self._reactor.is_current_thread:
                process.started.wait(_WAIT_FOR_LAUNCH_SECONDS)
            if process.child is not None:
                found[process.child.pid] = process.child
        return found

    # -- callbacks, exit, fork

    def call_back(self, call: Callable[[], object]) -> None:
        """Run a user's code on the events thread; ``wait`` waits for it."""
        events = self._events
        if events is None:
            call()
            return
        with self._lock:
            self._n_callbacks += 1
            self._callbacks_done.clear()
        events.call(lambda: self._called_back(call))

    def _called_back(self, call: Callable[[], object]) -> None:
        try:
            call()
        finally:
            with self._lock:
                self._n_callbacks -= 1
                if self._n_callbacks == 0:
                    self._callbacks_done.set()

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

    def abandon(self) -> None:
        """Cancel what waits and kill what runs."""
        self.shutdown(cancel=True)
        self.break_(broken.ABANDONED)
        self.signal_workers(kill=True)

    def disown_after_fork(self) -> None:
        """In a forked child: refuse everything, and let nobody wait for ever."""
        self._is_foreign = True
        self._lock = threading.RLock()
        self._is_stepping = False
        for process in self.processes.values():
            process.disown()
        if self._ledger is not None:
            self._ledger.close()
        error = RuntimeError(broken.IN_FORKED_CHILD)
        for call in self.calls.values():
            # Its lock may have been held by a thread that this process does not have.
            call.future._condition = threading.Condition()
            call.future._done_callbacks = []
            call.future._finish(None, error)
        self.stopped.set()
        self._callbacks_done.set()


def _close_fd(fd: int) -> None:
    with contextlib.suppress(OSError):
        os.close(fd)
