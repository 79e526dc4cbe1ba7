"""
The crew: the worker processes of a pool, by the places that the scheduler knows.

It starts them, finds them, and keeps what they share: the ledger, the launcher, the reactor. What
changes who is there runs under the pool's lock; what any thread may ask looks at copies.
"""

from __future__ import annotations

import contextlib
import os
import time
from functools import partial
from operator import call as call_it

from webworker_executor.link.journal import Journal
from webworker_executor.link.ledger import Ledger
from webworker_executor.pool.call import Call
from webworker_executor.pool.kin import kin_of
from webworker_executor.pool.process import CLOSE_SECONDS, News, WorkerProcess
from webworker_executor.pool.talks import Talks
from webworker_executor.rules.worker import CLOSING, DRAINING, EXITED, STARTING, Worker
from webworker_executor.web.launchers import close_launcher
from webworker_executor.web.registered import Receipts

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from contextlib import AbstractContextManager
    from typing import Any

    from webworker_executor.link.reactor import Reactor, Timer
    from webworker_executor.pool.birth import Birth
    from webworker_executor.pool.kin import Kin
    from webworker_executor.rules.task import Task
    from webworker_executor.wire.frame import Frame, Parts
    from webworker_executor.wire.transfer import Step

_START_SECONDS = 30.0
# When what a process has stored in shared memory is seen by all, with room: it takes nanoseconds.
STORE_SECONDS = 0.001

_log = Journal("webworker_executor.pool")


class Crew:
    """
    The processes of a pool.

    Args:
        birth: What they are born with.
        max_workers: How many may run tasks at a time.
    """

    def __init__(self, birth: Birth, max_workers: int) -> None:
        self.birth = birth
        self._max_workers = max_workers
        self.processes: dict[Worker, WorkerProcess] = {}
        # Whether `end_all` sends SIGKILL at once, and no SIGTERM before.
        self.kills = False
        self.talks = Talks()
        self.receipts = Receipts()
        # Messages to a place whose process is not there yet.
        self._messages: dict[int, list[tuple[Parts, Sequence[Any]]]] = {}
        self._at_opening: dict[int, list[Callable[[], object]]] = {}
        self._reactor: Reactor | None = None
        self._news: News | None = None
        self._is_open = False
        self._is_closed = False
        # Of the reactor's thread, as is whether there will be any more.
        self._alarms: set[Timer] = set()
        self._has_alarms = True
        # More as the pool grows; what the dead give back in the first ones is used again.
        self._ledgers: list[Ledger] = []

    def serve(self, reactor: Reactor, news: News) -> None:
        """Name the I/O thread, and who is told what processes do."""
        self._reactor = reactor
        self._news = news

    def _open(self, reactor: Reactor) -> None:
        # On the reactor's thread, with the first process: no signal handler can come between.
        if self._is_open:
            return
        self.birth.launcher.open(reactor)
        # Afterwards: where it raises, the next process tries anew.
        self._is_open = True

    def _ledger(self) -> Ledger | None:
        for ledger in self._ledgers:
            if not ledger.is_full:
                return ledger
        try:
            # One that leaves and its replacement live side by side for a while.
            self._ledgers.append(Ledger(2 * self._max_workers))
        except (OSError, AttributeError) as error:
            _log.info("no ledger, so that a worker's death costs the first task it has: %s", error)
            return None
        return self._ledgers[-1]

    def close(self, on_closed: Callable[[], object]) -> None:
        """Give back what the processes shared, and tell when that is done."""
        self._messages.clear()
        for calls in self._at_opening.values():
            for call in calls:
                # It never will be.
                call()
        self._at_opening.clear()
        # Taken out first: done again after a tear, this would close what has the numbers by then.
        fds, self.birth.initializer_fds = self.birth.initializer_fds, []
        self.birth.carried = (), ()
        for fd in fds:
            with contextlib.suppress(OSError):
                os.close(fd)
        while self._ledgers:
            self._ledgers.pop().close()
        if self._reactor is not None:
            self._reactor.call_soon(self._cancel_alarms)
        if self._is_open:
            self._on_reactor().call_soon(lambda: self._close_launcher(on_closed))
        else:
            on_closed()

    def _close_launcher(self, on_closed: Callable[[], object]) -> None:
        # Once, however often it is asked: a launcher may count who uses it.
        if not self._is_closed:
            self._is_closed = True
            close_launcher(self.birth.launcher, on_closed)

    def start(self, worker: Worker) -> None:
        """Start a process for a worker, on the reactor; once only, however often it is asked."""
        reactor = self._on_reactor()
        process = self.processes.get(worker)
        if process is None:
            assert self._news is not None
            process = self.processes[worker] = WorkerProcess(worker, self._news, reactor)
        # Also if it is there already: the step that made it may have been torn before this.
        reactor.call_soon(lambda: self._launch(process, reactor))

    def _launch(self, process: WorkerProcess, reactor: Reactor) -> None:
        if process.is_launched:
            return
        try:
            self._open(reactor)
        except Exception as error:
            # The launcher may be the user's own. Nobody else hears of it, and its tasks wait.
            process.is_launched = True
            process.failed(error)
            return
        process.launch(self.birth, self._ledger())

    def process_of(self, task: Task) -> WorkerProcess | None:
        """Return the process that a task was sent to, as long as there is one."""
        # Looked at once: whoever asks without the lock may find it taken back the next moment.
        worker = task.worker
        return None if worker is None else self.processes.get(worker)

    def is_up(self) -> bool:
        """Whether any worker can run tasks. Any thread; a moment later it may be otherwise."""
        processes = tuple(self.processes.values())
        return any(process.worker.state is not STARTING for process in processes)

    @property
    def is_held_here(self) -> bool:
        """Whether an outer call of this thread, interrupted by a handler, holds a link."""
        links = [process.data for process in tuple(self.processes.values())]
        return any(link is not None and link.is_held_here for link in links)

    @property
    def is_starting_all(self) -> bool:
        """Whether workers are being forked, which cannot be done any more when the program ends."""
        if not self.birth.launcher.starts_all_at_once:
            return False
        return not all(process.started.is_set() for process in tuple(self.processes.values()))

    def wait_until_started(self) -> None:
        """Wait for the processes being started."""
        if not self._on_reactor().is_current_thread:
            for process in list(self.processes.values()):
                process.started.wait(_START_SECONDS)

    def opened(self, process: WorkerProcess, lock: AbstractContextManager[object]) -> None:
        """Send a process that now has a link what waited for it; under the pool's ``lock``."""
        process.open(lock)
        for task in process.worker.inflight:
            assert isinstance(task, Call)
            process.post(task)
        for message in self._messages.pop(process.worker.slot, ()):
            process.post_message(*message)
        process.flush()
        if process.n_recalled:
            process.recall(process.n_recalled)
        if process.is_withheld_early:
            self.withhold(process.worker)
        assert process.data is not None
        for call in self._at_opening.pop(process.worker.slot, ()):
            process.data.when_written(call)

    def forget(self, process: WorkerProcess) -> None:
        """Let go of a dead process."""
        process.bury()
        self.processes.pop(process.worker, None)

    def recall(self, worker: Worker, count: int) -> None:
        """Ask a process for tasks that have not begun."""
        process = self.processes.get(worker)
        if process is not None:
            process.recall(count)

    def withhold(self, worker: Worker) -> None:
        """Have a process begin nothing more of what it holds, without its help; look later."""
        process = self.processes.get(worker)
        if process is None:
            return
        if not process.is_open:
            # When it has been sent what it holds.
            process.is_withheld_early = True
            return
        if not worker.is_noted:
            self._withhold_from_unnoted(process)
            return
        process.withhold()
        number = process.n_withheld

        def look() -> None:
            # After one more recall there is a look of its own.
            if number == process.n_withheld and self._news is not None:
                self._news.withheld(process)

        self.call_at(time.monotonic() + STORE_SECONDS, look)

    def _withhold_from_unnoted(self, process: WorkerProcess) -> None:
        # There is no other way than to ask, and to end it if it is not even up by then. Who is up
        # says so before it begins anything, so that a death before that is no task's.
        worker = process.worker

        def look() -> None:
            if worker.state is STARTING and worker.inflight:
                process.terminate()

        if worker.inflight:
            process.recall(len(worker.inflight))
            self.call_at(time.monotonic() + CLOSE_SECONDS, look)

    def retire(self, worker: Worker) -> None:
        """Ask a process to leave."""
        process = self.processes.get(worker)
        if process is not None:
            self._on_reactor().call_soon(process.close)

    def end_all(self) -> None:
        """Force every process to its end."""
        for process in self.processes.values():
            self._on_reactor().call_soon(process.kill if self.kills else process.terminate)

    def kill_all(self) -> None:
        """Send SIGKILL to every process; from any thread."""
        for process in list(self.processes.values()):
            process.kill()

    def flush_all(self) -> None:
        """Send all that was posted."""
        for process in self.processes.values():
            process.flush()

    def post_message(
        self, slot: int, parts: Parts, fds: Sequence[Any], *going: Step
    ) -> WorkerProcess | None:
        """Send a message to a place, keeping it if no process is there yet; return the process."""
        process = self.in_place(slot)
        if process is None or not process.post_message(parts, fds, *going):
            kept = self._messages.setdefault(slot, [])
            steps: tuple[Step, ...] = (*going, partial(kept.append, (parts, fds)))
            _ = [*map(call_it, steps)]
        return process

    def in_place(self, slot: int) -> WorkerProcess | None:
        """Return the process in a place, ``None`` where there is none that stays."""
        for worker, process in list(self.processes.items()):
            if worker.slot == slot and worker.state is not EXITED and worker.state is not CLOSING:
                return process
        return None

    def state_of(self, slot: int) -> str:
        """Say in a few words what the worker in a place is doing."""
        process = self.in_place(slot)
        if process is None or process.pid is None:
            return "not running" if process is None else "starting"
        n_held = len(process.worker.inflight)
        if process.worker.state is STARTING:
            return f"pid={process.pid} starting tasks={n_held}"
        return f"pid={process.pid} " + (f"busy tasks={n_held}" if n_held else "idle")

    def pid_of(self, slot: int) -> int | None:
        """Return the process id of the worker in a place."""
        process = self.in_place(slot)
        return None if process is None else process.pid

    def unsent_nbytes(self, slot: int) -> int:
        """Tell how many bytes for a place the kernel has not taken yet."""
        waiting = sum(len(part) for parts, _ in self._messages.get(slot, ()) for part in parts)
        process = self.in_place(slot)
        link = None if process is None else process.data
        return waiting + (0 if link is None else link.unsent_nbytes)

    def when_written(self, slot: int, call: Callable[[], object]) -> None:
        """Make a call when nothing waits for a place any more; under the pool's lock."""
        process = self.in_place(slot)
        if process is not None and process.data is not None:
            process.data.when_written(call)
        elif process is None and slot not in self._messages:
            call()
        else:
            self._at_opening.setdefault(slot, []).append(call)

    def children(self) -> dict[int, Kin]:
        """Return the workers that stay by process id, after waiting for those being started."""
        found = {}
        for worker, process in list(self.processes.items()):
            if worker.state is CLOSING or worker.state is DRAINING:
                continue
            if not self._on_reactor().is_current_thread:
                process.started.wait(_START_SECONDS)
            if process.child is not None:
                found[process.child.pid] = kin_of(process.child, worker.slot)
        return found

    def call_soon(self, call: Callable[[], object]) -> None:
        """Make a call on the reactor's thread; any thread, finalizers and signal handlers, too."""
        self._on_reactor().call_soon(call)

    def finalizer(self, call: Callable[[], object]) -> Callable[[], object]:
        """Return what makes a call there from a finalizer: see `Reactor.finalizer`."""
        return self._on_reactor().finalizer(call)

    def call_at(self, when: float, call: Callable[[], object]) -> None:
        """Call on the reactor's thread at a time of ``time.monotonic()``, before ``close`` only."""
        self._on_reactor().call_soon(lambda: self._set_alarm(when, call))

    def _set_alarm(self, when: float, call: Callable[[], object]) -> None:
        def ring() -> None:
            self._alarms.discard(timer)
            timer.cancel()
            call()

        if self._has_alarms:
            timer = self._on_reactor().call_at(when, ring)
            self._alarms.add(timer)

    def _cancel_alarms(self) -> None:
        # One that is due in an hour would keep all that the pool had.
        self._has_alarms = False
        while self._alarms:
            self._alarms.pop().cancel()

    def disown(self) -> None:
        """In a forked child: let go of everything without touching the processes."""
        for let_go in (
            *[process.disown for process in self.processes.values()],
            *[ledger.close for ledger in self._ledgers],
        ):
            # The reactor may have been closing just this one when the program was forked.
            with contextlib.suppress(OSError):
                let_go()

    def owe(self, frame: Frame, give: Callable[[], object]) -> Frame:
        """Take in a registered message, as `Receipts.owe`; on the reactor's thread."""
        return self.receipts.owe(frame, give, self.finalizer)

    def _on_reactor(self) -> Reactor:
        assert self._reactor is not None, "a pool without a reactor has no processes"
        return self._reactor
