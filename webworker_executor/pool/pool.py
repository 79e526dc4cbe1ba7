"""
The pool: it tells the scheduler what happened and performs what the scheduler decides.

Events come from users in any thread and from the reactor; ``steps`` applies them one at a time.
What the scheduler returns is performed at once, in the thread that stands there: a task is written
to its worker's socket by the very call of ``submit``.
"""

from __future__ import annotations

import os
import time
import weakref

from webworker_executor.link.flag import Flag
from webworker_executor.pool import broken
from webworker_executor.pool.broken import Breakage
from webworker_executor.pool.call import Call
from webworker_executor.pool.chronicle import Chronicle
from webworker_executor.pool.crew import Crew
from webworker_executor.pool.division import Division
from webworker_executor.pool.leading import lead
from webworker_executor.pool.parts import PoolParts
from webworker_executor.pool.performer import Performer
from webworker_executor.pool.pool_ending import EndingPool
from webworker_executor.pool.promises import Promises
from webworker_executor.pool.reports import Reports
from webworker_executor.pool.room import Bounded, Room
from webworker_executor.pool.steps import Steps
from webworker_executor.pool.stopping import Stopper
from webworker_executor.rules.scheduler import Scheduler
from webworker_executor.rules.task import QUEUED, Task
from webworker_executor.web.host import host
from webworker_executor.web.pool_worker import PoolWorker

TYPE_CHECKING = False
if TYPE_CHECKING:
    import threading
    from collections.abc import Callable, Sequence
    from contextlib import AbstractContextManager
    from typing import Any

    from webworker_executor.link.reactor import Reactor
    from webworker_executor.pool.birth import Birth
    from webworker_executor.pool.size import Size
    from webworker_executor.rules import action as do
    from webworker_executor.web.events import EventsThread
    from webworker_executor.wire.frame import Parts
    from webworker_executor.wire.transfer import Step


class Pool(EndingPool):
    """
    Workers, tasks and futures of one executor.

    Args:
        birth: What workers are born with.
        size: How many there may be, and how large.
        breaks_on_crash: Whether a worker's death breaks the pool, as the stdlib has it.
        exit_policy: What happens at the end of the program: see ``WebWorkerExecutor``.

    Attributes:
        workers: The raw channels, by place.
        chronicle: What happened to workers and tasks.
        division: Divides chunks of a map that take long.
        is_shut: Whether it was shut down.
        is_foreign: Whether this is a forked copy of the process that it belongs to.
        breakage: Whether and why it is broken.
        stopped: Set when every worker has left and none will come.
    """

    def __init__(
        self,
        birth: Birth,
        size: Size,
        *,
        breaks_on_crash: bool = False,
        exit_policy: str = "wait",
    ) -> None:
        self._scheduler = Scheduler(
            size.max_workers,
            eager=birth.launcher.starts_all_at_once,
            max_tasks_per_worker=size.max_tasks,
            break_on_crash=breaks_on_crash,
            idle_seconds=size.idle_timeout,
            min_workers=size.min_workers,
            read_clock=time.monotonic,
        )
        if size.max_memory is not None or size.memory_limit is not None:
            birth.memory = size.max_memory, size.memory_limit
        self._exit_policy = exit_policy
        self._min_workers = size.min_workers
        self.promises = Promises()
        self.breakage = Breakage(on_crash=breaks_on_crash)
        self.crew = Crew(birth, size.max_workers)
        self.chronicle = Chronicle(birth.name, self.promises.tell)
        # Also those of places that are gone, whose processes may still speak.
        self.workers = [PoolWorker(index, self) for index in range(size.max_workers)]
        self._steps: Steps[do.Actions] = Steps(self._recover, self._retry)
        parts = PoolParts(
            self._scheduler, self.promises, self.crew, self.breakage, self._steps, self.chronicle
        )
        self._performer = Performer(parts, self._broken, self._stopped)
        self._steps.perform = self._performer.perform
        self._stopper = Stopper(parts)
        self.expire = self._stopper.expire
        self.division = Division(parts)
        self._reports = Reports(parts, self._performer, self.workers, self.division)
        self._reactor: Reactor | None = None
        self._events: EventsThread | None = None
        # Whether a task can be taken without a second look.
        self.is_open = False
        self.is_shut = False
        self.is_foreign = False
        # Whether it has threads, or a thread is about to give it some.
        self._is_begun = False
        self.stopped = Flag()
        # What users call: `submit`, or that when there is room.
        self.take: Callable[[Call], None] = self.submit
        _pools.add(self)

    @property
    def thread(self) -> threading.Thread | None:
        """The I/O thread; ``None`` before the first task."""
        return None if self._reactor is None else self._reactor.thread

    @property
    def max_workers(self) -> int:
        """How many workers there may be: the only place where it stands is the scheduler."""
        return self._scheduler.max_workers

    # -- what users do

    def open(self, refusal: str = broken.AFTER_SHUTDOWN) -> None:
        """
        Make sure that a task can be taken, or whatever else is for a worker.

        Args:
            refusal: What is said where the pool was shut down.

        Raises:
            BrokenWorkerPool: The pool is broken.
            RuntimeError: It was shut down, the interpreter exits, this is a forked copy, or no
                thread can be started.
            OSError: No descriptor is left.
        """
        with self._steps.lock:
            self._check(refusal)
            self._is_begun = True
            # Each step here may be done again if a signal handler raises before the next.
            reactor, events = host.acquire(self)
            self._reactor, self._events = reactor, events
            self.promises.run_callbacks_on(events)
            self.crew.serve(reactor, self._reports)
            if self.is_shut:
                # By a signal handler, meanwhile. No call comes between this look and the store.
                # What was submitted before needs the threads until its end, which gives them back.
                if self.stopped.is_set():
                    host.release(self)
                raise RuntimeError(refusal)
            self.is_open = True

    def _check(self, refusal: str) -> None:
        if self.is_foreign:
            raise RuntimeError(broken.IN_FORKED_CHILD)
        if self.breakage.is_broken:
            raise self.breakage.error_of_submit()
        if self.is_shut:
            raise RuntimeError(refusal)

    def submit(self, call: Call) -> None:
        """Take a call, whose future is the pool's from here; raises as `open` and `Call.enter`."""
        steps = self._steps
        with steps.lock:
            if not self.is_open:
                self.open()
            call.future._owner, call.future._task = self, call
            # In the table first: whatever happens to the step, the call is not lost.
            if call.parcel is None:
                self.promises.calls[call.ident] = call
            else:
                call.enter(self.promises.calls)
            self.promises.n_taken += 1
            try:
                steps.do(self._take, call)
            except BaseException:
                # A signal handler has raised, perhaps before the step began: nobody else has heard
                # of the call.
                steps.tear()
                raise
        if call.parcel is not None:
            call.settle()
        if self.crew.is_starting_all and not self._is_in_the_way:
            self.crew.wait_until_started()

    def bound(self, max_pending: int, when_full: str | float) -> None:
        """Have so many unfinished calls at most; before there is one."""
        calls = Bounded()
        self.promises.calls = calls
        self.take = Room(calls, max_pending, when_full, self.submit, self._may_wait).submit

    def _may_wait(self) -> bool:
        reactor = self._reactor
        is_reactor = reactor is not None and reactor.is_current_thread
        return not (is_reactor or self._is_in_the_way)

    def want_worker(self, slot: int | None = None) -> None:
        """Start a worker though there is no task for it."""
        self.open()
        self._steps.bring(self._scheduler.wanted, slot)

    def resize(self, max_workers: int) -> None:
        """Have more places or fewer; raises as ``open``, and ValueError below ``min_workers``."""
        if max_workers < self._min_workers:
            raise ValueError(f"max_workers must be at least min_workers ({self._min_workers})")
        with self._steps.lock:
            self._check(broken.NO_RESIZE)
            for index in range(len(self.workers), max_workers):
                self.workers.append(PoolWorker(index, self))
        self._steps.bring(self._scheduler.resized, max_workers)

    def keep(self, slot: int, count: int) -> None:
        """Take note of objects that live in the worker in a place, so many more or fewer."""
        self._steps.bring(self._scheduler.slot_kept, slot, count)

    def abort(self, task: Task, reason: object, grace: float) -> None:
        """Stop a task wherever it is, and no other."""
        assert isinstance(task, Call)
        self._stopper.stop(task, broken.aborted(task.fn_name, reason), reason, grace)

    def cancel_handed_out(self, task: Task, *, runs_too: bool) -> None:
        """Cancel a task that cannot have begun, or with ``runs_too`` stop it wherever it is."""
        assert isinstance(task, Call)
        self._stopper.cancel(task, runs_too=runs_too)

    @property
    def lock(self) -> AbstractContextManager[object]:
        """Held during each step."""
        return self._steps.lock

    def lead(self, task: Task, timeout: float | None) -> None:
        """
        Wait for a task by reading for it: see `pool.leading`.

        Raises:
            RuntimeError: A signal handler waits, and has interrupted who holds the lock, or that
                of a link, without which the reactor can report no end of a task.
        """
        assert isinstance(task, Call)
        is_held = self._steps.is_held_here
        if not is_held:
            process = self.crew.process_of(task)
            if process is not None:
                lead(task, process, self._reports, timeout)
            is_held = not task.future.done() and self.crew.is_held_here
        if is_held and (timeout is None or timeout > 0):
            raise RuntimeError(broken.WAIT_WITHIN_STEP)

    def started_at(self, task: Task) -> float | None:
        """Return when a task began, in seconds of ``time.monotonic()``, if it has begun."""
        process = self.crew.process_of(task)
        return None if process is None else process.begun_at(task.ident)

    def attend(self, task: Task) -> None:
        """Let the reactor read of the worker that has the task, if it left that to others."""
        process = self.crew.process_of(task)
        if process is not None and process.data is not None:
            process.data.leading.end_lease()

    def cancelled(self, task: Task) -> None:
        """Forget a call whose future was cancelled."""
        self._steps.bring(self._drop, task)

    def call_back(self, call: Callable[[], object]) -> None:
        """Run a user's code on the events thread."""
        self.promises.call_back(call)

    def post_message(self, index: int, parts: Parts, fds: Sequence[Any], *going: Step) -> None:
        """
        Send a message to the worker in a place, starting one if need be.

        Raises:
            ValueError: The place is gone.
            BrokenWorkerPool: As ``open``, like what follows.
            RuntimeError: The same.
            OSError: The same.
        """
        self.open(f"the executor was shut down; worker {index} takes no messages any more")
        with self._steps.lock:
            if index >= self.max_workers:
                raise ValueError(
                    f"there is no worker {index} any more: this executor has "
                    f"{self.max_workers}, from 0"
                )
            if self.crew.in_place(index) is None:
                # First: what is kept for a process has one that comes, though a handler raises.
                self._steps.bring(self._scheduler.wanted, index)
            process = self.crew.post_message(index, parts, fds, *going)
            if process is not None:
                self._scheduler.worker_used(process.worker)

    def when_written(self, index: int, call: Callable[[], object]) -> None:
        """Make a call when nothing waits for a place any more, or never will be read."""
        with self._steps.lock:
            if not self.stopped.is_set() and not self.is_foreign:
                self.crew.when_written(index, call)
                return
        call()

    def disown_after_fork(self) -> None:
        """In a forked child: refuse everything, and let nobody wait for ever."""
        if self.is_foreign:
            return
        self.is_foreign = True
        self.is_open = False
        self._steps.reset_after_fork()
        self.promises.disown(RuntimeError(broken.IN_FORKED_CHILD))
        self.stopped.set()
        for worker in self.workers:
            worker._disown()
        self.crew.disown()

    # -- steps

    def _retry(self) -> None:
        if self._reactor is not None:
            self._reactor.call_soon(self._steps.run)

    def _recover(self) -> None:
        # Submitted calls are in the table of promises. Any other event can be applied twice.
        inbox = self._steps.inbox
        for item in tuple(inbox):
            if item[0] == self._take:
                # One by one: other threads bring events meanwhile.
                inbox.remove(item)
        if isinstance(self.promises.calls, Bounded):
            # A call may have left without a word to who waits for its room.
            self.promises.calls.wake_all()
        self._reports.recover()
        self._performer.recover()

    def _take(self, call: Call) -> do.Actions:
        if self.is_shut and self._scheduler.is_stopped:
            # A signal handler shut the pool down in the middle of this very submit.
            error = RuntimeError(broken.AFTER_SHUTDOWN)
            self.promises.tally.n_failed += self.promises.fail(call, error)
            return ()
        if call.__class__ is Call:
            return self._scheduler.submitted(call)
        if call.pin is not None:
            if call.pin < self.max_workers:
                return self._scheduler.submitted_to(call, call.pin)
            # The view was made, or this call begun, when there were more.
            gone = ValueError(f"there is no worker {call.pin} any more: the executor was resized")
            self.promises.tally.n_failed += self.promises.fail(call, gone)
            return ()
        if call.priority:
            return self._scheduler.submitted_ranked(call)
        return self._scheduler.submitted(call)

    def _broken(self) -> None:
        self.is_open = False

    def _stopped(self) -> None:
        for worker in self.workers:
            worker._ended()
        host.release(self)
        self.stopped.set()
        # Again: `open` may have come in between, and not have seen the end.
        host.release(self)

    def _drop(self, task: Task) -> do.Actions:
        assert isinstance(task, Call)
        if task.state is not QUEUED:
            return ()
        # Out of the table only afterwards: after a tear it is found there, and else it would leave
        # the queue twice.
        actions = self._scheduler.task_cancelled(task)
        task.future._claim()
        self.promises.forget(task)
        self.promises.tally.n_cancelled += 1
        return actions


_pools: weakref.WeakSet[Pool] = weakref.WeakSet()


def _disown_all() -> None:
    for pool in tuple(_pools):
        if pool._is_begun:
            # The host does not know of it if another thread was just about to tell.
            pool.disown_after_fork()
        else:
            # It may be used here as well as there.
            pool._steps.reset_after_fork()


os.register_at_fork(after_in_child=_disown_all)
