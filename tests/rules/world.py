"""
Play the processes and the pool around a scheduler, and check after every event what must hold.

For the property tests: a model in place of processes, sockets and clocks, not a mock of a part of
ours.
"""

from __future__ import annotations

import sys
from collections import Counter, defaultdict, deque
from typing import TYPE_CHECKING, Any

from tests.rules.crew import SpecialTask, n_queued
from webworker_executor.rules.action import (
    Action,
    Actions,
    Alarm,
    Break,
    Cancel,
    Fail,
    GiveUp,
    Recall,
    Retire,
    Retry,
    Send,
    Start,
    Stopped,
    Withhold,
)
from webworker_executor.rules.assignment import ANSWER_SECONDS
from webworker_executor.rules.scheduler import Scheduler
from webworker_executor.rules.supervisor import UNKNOWN, not_begun
from webworker_executor.rules.task import CANCELLED, DONE, QUEUED, Task
from webworker_executor.rules.worker import (
    ASKED,
    DEAF,
    DRAINING,
    EXITED,
    FREE,
    READY,
    SILENT,
    STARTING,
    WITHHELD,
    Worker,
)

if TYPE_CHECKING:
    from collections.abc import Callable
    from types import FrameType


class Torn(BaseException):
    """Stand for the exception that a signal handler raises at any line."""


class Item:
    """Be something written to a process: a task, or the mark of a recall of everything."""

    def __init__(self, task: Task | None) -> None:
        self.task = task
        self.is_void = task is None


class Process:
    """
    Be a worker's process: what was written to it, and what it runs.

    Attributes:
        noted: What it has taken up and noted as begun, though it may yet pass it over.
        begun: What the ledger says: what is noted, or the last that was begun.
        unread: What it has answered and the host has not read, with the seconds that it took.
        n_withheld: What the host has counted in the ledger.
        n_marks: How many marks it has come to.
        answers: What it has passed over, for each mark that the host has not heard of.
        is_seen: Whether the host has looked since it counted.
        is_withheld: Whether it has not said that it came to the last mark.
    """

    def __init__(self, worker: Worker) -> None:
        self.worker = worker
        self.is_up = False
        self.is_retired = False
        self.mailbox: deque[Item] = deque()
        self.noted: Item | None = None
        self.running: Task | None = None
        self.begun = self.last_begun = 0
        self.unread: deque[tuple[Task, float]] = deque()
        self.recalls: deque[int] = deque()
        self.n_withheld = self.n_marks = 0
        self.passed: list[Task] = []
        self.answers: deque[list[Task]] = deque()
        self.is_seen = True
        self.is_withheld = False

    def held(self) -> list[Task]:
        """List what it holds, in order; also what it has passed over and not told of."""
        items = [*([] if self.noted is None else [self.noted]), *self.mailbox]
        passed = [*(task for told in self.answers for task in told), *self.passed]
        return [
            *(task for task, _ in self.unread),
            *passed,
            *([] if self.running is None else [self.running]),
            *(item.task for item in items if item.task is not None and not item.is_void),
        ]

    def forget(self, task: Task) -> None:
        """Hold a task no longer: it was charged with the death of this process."""
        if self.running is task:
            self.running = None
        if self.noted is not None and self.noted.task is task:
            self.noted.is_void = True
        for item in self.mailbox:
            item.is_void = item.is_void or item.task is task
        for told in (self.passed, *self.answers):
            told[:] = [each for each in told if each is not task]


class World:
    """Perform a scheduler's actions on modelled processes."""

    def __init__(self, max_workers: int, *, is_noted: bool = True, **options: Any) -> None:
        self.is_noted = is_noted
        self.max_workers = self.most_workers = max_workers
        self.now = 0.0
        self.scheduler = Scheduler(max_workers, read_clock=lambda: self.now, **options)
        self.tasks: list[Task] = []
        self.outcome: dict[Task, str] = {}
        self.n_begun: Counter[Task] = Counter()
        self.may_begin: dict[Task, int] = {}
        self.n_taken: Counter[Worker] = Counter()
        self.tear_at = 0
        self.agenda: deque[Action] = deque()
        self.is_performing = False
        self.charged: list[Task] = []
        self.sent: defaultdict[tuple[int | None, int], list[int]] = defaultdict(list)
        self.processes: dict[Worker, Process] = {}
        self.alarms: list[float] = []
        self.doomed: set[Task] = set()
        self.n_breaks = 0
        self.n_stops = 0
        self.is_disturbed = False

    # Performing

    def perform(self, actions: Actions) -> None:
        """Do what the scheduler asks for, in its order; what that leads to comes after it."""
        self.agenda.extend(actions)
        if self.is_performing:
            return
        self.is_performing = True
        while self.agenda:
            self.perform_one(self.agenda.popleft())
        self.is_performing = False

    def perform_one(self, action: Action) -> None:
        """Do one thing that the scheduler asks for."""
        match action:
            case Start(worker):
                if worker not in self.processes:
                    self.processes[worker] = Process(worker)
                    worker.is_noted = self.is_noted
            case Send(worker, tasks):
                self.send(worker, tasks)
            case Recall(worker, count):
                assert count >= 1
                self.processes[worker].recalls.append(count)
            case Withhold(worker):
                self.withhold(self.processes[worker])
            case Retire(worker):
                assert [] == self.processes[worker].held()
                self.processes[worker].is_retired = True
            case Fail(task, _):
                self.charged.append(task)
                self.settle(task, "failed")
            case Retry(task, _):
                assert task not in self.outcome
                assert task.state is not DONE
            case Cancel(tasks):
                for task in tasks:
                    self.settle(task, "cancelled")
            case Break(_, tasks, _):
                self.n_breaks += 1
                for task in tasks:
                    self.settle(task, "broken")
                for process in self.processes.values():
                    process.is_retired = True
                    process.running = process.noted = None
                    process.unread.clear()
                    process.passed.clear()
                    process.answers.clear()
                    process.mailbox.clear()
                    process.recalls.clear()
            case GiveUp(tasks):
                for task in tasks:
                    self.settle(task, "given up")
            case Alarm(at):
                self.alarms.append(at)
            case Stopped():
                self.n_stops += 1
                assert not self.processes
                assert not self.unresolved()

    def send(self, worker: Worker, tasks: list[Task]) -> None:
        """Write tasks to a process, save those whose future was cancelled meanwhile."""
        assert tasks
        process = self.processes[worker]
        assert not process.is_retired
        assert not process.is_withheld
        for task in tasks:
            assert task.pin is None or task.pin == worker.slot
            if task not in self.doomed:
                process.mailbox.append(Item(task))
                self.sent[task.pin, task.priority].append(task.ident)
        urgent = [t for t in self.unresolved() if t.state is QUEUED and t.pin is None]
        highest = max((task.priority for task in urgent), default=None)
        assert highest is None or all(t.pin is not None or t.priority >= highest for t in tasks)
        for task in tasks:
            if task in self.doomed:
                self.settle(task, "cancelled")
                self.perform(self.scheduler.task_dropped(worker, task))

    def settle(self, task: Task, outcome: str) -> None:
        """Resolve a future, which can be done only once."""
        assert task not in self.outcome
        self.outcome[task] = outcome

    def unresolved(self) -> list[Task]:
        """List the tasks whose future is not resolved, in order of submission."""
        return [task for task in self.tasks if task not in self.outcome]

    # Events

    def decide(self, event: Callable[..., Actions], *details: object) -> Actions | None:
        """Ask the scheduler; None if the answer was torn by an exception at line `tear_at`."""
        n_lines, self.tear_at = self.tear_at, 0
        if not n_lines:
            return event(*details)
        try:
            return tear_after(n_lines, lambda: event(*details))
        except Torn:
            self.is_disturbed = True
            return None

    def carry_out(self, actions: Actions | None) -> None:
        """Perform what was decided, or recover if nothing was."""
        if actions is None:
            self.recover()
        else:
            self.perform(actions)

    def recover(self) -> None:
        """Resolve what the torn step settled, forget what was never written, then start afresh."""
        for task in self.unresolved():
            if task.state is DONE:
                self.settle(task, "failed")
                for process in self.processes.values():
                    process.forget(task)
            elif task.state is CANCELLED:
                self.settle(task, "cancelled")
        for worker in self.scheduler.workers:
            written = self.processes[worker].held() if worker in self.processes else []
            for task in list(worker.inflight):
                if task not in written:
                    worker.inflight.remove(task)
        for action in self.scheduler.recover(self.unresolved()):
            if not (isinstance(action, Stopped) and self.n_stops):
                self.agenda.append(action)
        self.perform(())

    def submit(self, pin: int | None = None, retries: int = 0, priority: int = 0) -> Task:
        """Submit one task, for any place or for one, which may run again after a crash."""
        ident = len(self.tasks) + 1
        is_special = pin is not None or retries or priority
        task = SpecialTask(ident, pin, retries, priority) if is_special else Task(ident)
        self.may_begin[task] = 1 + retries
        self.tasks.append(task)
        if pin is None and priority:
            self.carry_out(self.decide(self.scheduler.submitted_ranked, task))
        elif pin is None:
            self.carry_out(self.decide(self.scheduler.submitted, task))
        else:
            self.carry_out(self.decide(self.scheduler.submitted_to, task, pin))
        return task

    def ready(self, process: Process) -> None:
        """Let a process come up."""
        process.is_up = True
        actions = self.decide(self.scheduler.worker_ready, process.worker)
        self.carry_out(actions)
        if actions is None and process.worker.state is STARTING:
            self.perform(self.scheduler.worker_ready(process.worker))

    def note(self, process: Process) -> None:
        """Let a process take up the next thing it was sent, and note a task."""
        process.noted = process.mailbox.popleft()
        if process.noted.task is not None:
            process.begun = process.noted.task.ident

    def begin(self, process: Process) -> None:
        """Let a process begin what it has taken up, unless that was recalled with everything."""
        if process.noted is None:
            self.note(process)
        item, process.noted = process.noted, None
        assert item is not None
        if item.task is None:
            process.n_marks += 1
            process.answers.append(process.passed)
            process.passed = []
        elif process.n_marks != process.n_withheld:
            process.begun = process.last_begun
            if not item.is_void:
                process.passed.append(item.task)
        else:
            assert not item.is_void
            process.running = item.task
            process.last_begun = item.task.ident
            self.n_begun[process.running] += 1
            self.n_taken[process.worker] += 1
            assert self.n_begun[process.running] <= self.may_begin[process.running]

    def withhold(self, process: Process) -> None:
        """Count a recall of everything in the ledger, and leave the mark."""
        self.is_disturbed = True
        if not process.worker.is_noted:
            # There is no other way than to ask, while it is not up.
            assert process.worker.state is STARTING or not process.worker.inflight
            process.recalls.extend([1] * len(process.worker.inflight))
            return
        process.n_withheld += 1
        process.mailbox.append(Item(None))
        process.is_seen, process.is_withheld = False, True

    def look(self, process: Process) -> None:
        """Look what a process has begun, and take back the rest; on a thread that is never torn."""
        process.is_seen, self.tear_at = True, 0
        tasks = not_begun(process.worker, process.begun)
        assert not any(self.n_begun[task] >= self.may_begin[task] for task in tasks)
        items = [*([] if process.noted is None else [process.noted]), *process.mailbox]
        for item in items:
            item.is_void = item.is_void or item.task in tasks
        for told in (process.passed, *process.answers):
            told[:] = [task for task in told if task not in tasks]
        self.perform(self.scheduler.tasks_withheld(process.worker, tasks))

    def hear(self, process: Process) -> None:
        """Let the host hear that a process has come to a mark."""
        self.read(process)
        idents = [task.ident for task in process.answers.popleft()]
        # Of the last mark; those before are on their way as well.
        process.is_withheld = bool(process.answers) or process.n_marks != process.n_withheld
        scheduler = self.scheduler
        event = scheduler.tasks_returned if process.is_withheld else scheduler.worker_hears
        self.carry_out(self.decide(event, process.worker, idents))

    def finish(self, process: Process, seconds: float) -> None:
        """Let a process answer the task that it runs, and the host read that."""
        self.answer(process, seconds)
        self.read(process)

    def answer(self, process: Process, seconds: float) -> None:
        """Let a process answer the task that it runs; the host has not read it yet."""
        assert process.running is not None
        process.unread.append((process.running, seconds))
        process.running = None

    def read(self, process: Process) -> None:
        """Let the host read what a process has answered."""
        while process.unread:
            self.take(process, *process.unread.popleft())

    def take(self, process: Process, task: Task, seconds: float) -> None:
        """Let the host take an answer."""
        actions = self.decide(self.scheduler.task_finished, process.worker, task, seconds)
        self.settle(task, "done")
        self.carry_out(actions)

    def give_back(self, process: Process) -> None:
        """Let a process answer the oldest Recall."""
        self.read(process)
        self.is_disturbed = True
        count = process.recalls.popleft()
        idents: list[int] = []
        kept: list[Item] = []
        while process.mailbox and len(idents) < count:
            item = process.mailbox.pop()
            if item.task is None:
                kept.append(item)
            elif not item.is_void:
                idents.append(item.task.ident)
        process.mailbox.extend(reversed(kept))
        self.carry_out(self.decide(self.scheduler.tasks_returned, process.worker, idents))

    def exit(self, process: Process, *, is_known: bool) -> None:
        """Let a process die, and the pool know or not know what it was running."""
        tear_at, self.tear_at = self.tear_at, 0
        self.read(process)
        self.tear_at = tear_at
        self.is_disturbed = True
        worker, held, running = process.worker, process.held(), process.running
        if process.noted is not None and not process.noted.is_void:
            running = process.noted.task
        is_tearing, was_ready = bool(self.tear_at), worker.state is not STARTING
        n_charged, n_breaks = len(self.charged), self.n_breaks
        survivors = [task for task in held if getattr(task, "retries", 0) > 0]
        begun = running if is_known else UNKNOWN
        actions = self.decide(self.scheduler.worker_exited, worker, begun, self.now)
        if actions is None:
            if worker.state is EXITED:
                del self.processes[worker]
            self.recover()
            actions = self.scheduler.worker_exited(worker, running, self.now)
        self.processes.pop(worker, None)
        self.perform(actions)
        if is_tearing or self.n_breaks > n_breaks:
            return
        charged = self.charged[n_charged:]
        if not set(survivors).isdisjoint(held[:1] if running is None else [running]):
            assert [] == charged
        elif running is not None:
            # What it had passed over by then, and nobody had heard of, is taken for run.
            assert held[: held.index(running) + 1] == charged
        elif not is_known and was_ready and held:
            assert held[:1] == charged
        elif charged:
            assert held[:1] == charged
            assert charged[0].strikes >= 3

    def fail_start(self, process: Process, *, transient: bool) -> None:
        """Let the creation of a process fail."""
        self.is_disturbed = True
        del self.processes[process.worker]
        self.perform(self.scheduler.start_failed(process.worker, self.now, transient))

    def ring(self) -> None:
        """Let the time come to the next alarm."""
        self.alarms.sort()
        self.now = max(self.now, self.alarms.pop(0))
        self.carry_out(self.decide(self.scheduler.clock, self.now))

    def cancel(self, task: Task) -> None:
        """Cancel a task that waits."""
        self.settle(task, "cancelled")
        self.carry_out(self.decide(self.scheduler.task_cancelled, task))

    def wanted(self, slot: int | None) -> None:
        """Want a worker."""
        self.carry_out(self.decide(self.scheduler.wanted, slot))

    def resize(self, max_workers: int) -> None:
        """Have more places or fewer; a torn resize is asked for again."""
        self.is_disturbed = True
        self.max_workers = max_workers
        self.most_workers = max(self.most_workers, max_workers)
        actions = self.decide(self.scheduler.resized, max_workers)
        self.carry_out(actions)
        if actions is None:
            self.perform(self.scheduler.resized(max_workers))

    def outgrow(self, process: Process) -> None:
        """Let a process say that it has grown too large, and give back what it has not begun."""
        self.perform(self.scheduler.worker_outgrew(process.worker))
        if process.mailbox:
            process.recalls.append(len(process.mailbox))

    def keep(self, slot: int, count: int) -> None:
        """Have one thing more or fewer that binds a worker."""
        self.perform(self.scheduler.slot_kept(slot, count))

    def use(self, process: Process) -> None:
        """Send a message to a worker."""
        self.perform(self.scheduler.worker_used(process.worker))

    def shut_down(self, *, cancel: bool) -> None:
        """Shut down; a torn shutdown is asked for again."""
        actions = self.decide(self.scheduler.shutdown, cancel)
        self.carry_out(actions)
        if actions is None:
            self.perform(self.scheduler.shutdown(cancel))

    def ask_back(self, process: Process) -> None:
        """Ask a process for what it has not begun."""
        if process.worker.inflight:
            self.carry_out(self.decide(self.scheduler.asked_back, process.worker))

    def take_unheard(self, process: Process) -> None:
        """Take from a process, up or not, what it has not begun."""
        if process.worker.inflight and process.worker.is_noted:
            self.carry_out(self.decide(self.scheduler.unheard, process.worker))

    def drop(self, process: Process) -> None:
        """Look what a process was kept from beginning, and find that nobody wants that."""
        process.is_seen, self.tear_at = True, 0
        for task in not_begun(process.worker, process.begun):
            assert self.n_begun[task] < self.may_begin[task]
            process.forget(task)
            self.settle(task, "cancelled")
            self.perform(self.scheduler.task_dropped(process.worker, task))

    def lose(self, process: Process) -> None:
        """Count no more on a process that is deaf."""
        self.carry_out(self.decide(self.scheduler.worker_lost, process.worker))

    def break_all(self) -> None:
        """Break the pool; a torn break is asked for again."""
        actions = self.decide(self.scheduler.break_)
        self.carry_out(actions)
        if actions is None:
            self.perform(self.scheduler.break_())

    # What must hold

    def check(self) -> None:
        """Compare the scheduler's view with the processes, and look for work left lying."""
        workers = self.scheduler.workers
        assert set(self.processes) == set(workers)
        held = [task for worker in workers for task in worker.inflight]
        queued = [task for task in self.unresolved() if task.state is QUEUED]
        assert len(queued) == n_queued(self.scheduler)
        assert sorted(task.ident for task in held + queued) == [
            task.ident for task in self.unresolved()
        ]
        for worker in workers:
            assert self.processes[worker].held() == list(worker.inflight)
        if not self.is_disturbed:
            # In order, of those that may run anywhere and of those for one place.
            for idents in self.sent.values():
                assert sorted(idents) == idents
        self.check_crew()
        self.check_idleness()

    def check_crew(self) -> None:
        """Never too many workers, never two in one place."""
        states = {READY, DEAF, STARTING}
        live = [worker for worker in self.scheduler.workers if worker.state in states]
        slots = [worker.slot for worker in live]
        assert len(set(slots)) == len(slots)
        pins = {task.pin for task in self.unresolved()}
        for worker in live:
            # A place that is no more is kept for its last tasks, or until its worker hears.
            is_kept = worker.inflight or worker.slot in pins or worker.state is DEAF
            assert worker.slot < self.max_workers or is_kept
        assert len(self.holders()) <= self.most_workers

    def holders(self) -> list[Worker]:
        """List the workers that hold tasks."""
        return [worker for worker in self.scheduler.workers if worker.inflight]

    def check_idleness(self) -> None:
        """No task waits while a worker idles, or could be started."""
        if self.n_breaks or len(self.holders()) >= self.max_workers:
            return
        states = {READY, DEAF, STARTING}
        live = [worker for worker in self.scheduler.workers if worker.state in states]
        withheld = [each for each in live if each.recall is WITHHELD and each.state is not READY]
        hearing = [worker for worker in live if worker not in withheld]
        idle = [worker for worker in live if worker.state is READY and not worker.inflight]
        is_trying = any(worker.state is STARTING for worker in live)
        queued = [task for task in self.unresolved() if task.state is QUEUED]
        pins = {task.pin for task in queued}
        if None in pins:
            assert not [worker for worker in hearing if not worker.inflight]
            places = [worker for worker in live if worker.slot < self.max_workers]
            assert len(places) == self.max_workers or self.alarms or is_trying
        assert not [worker for worker in hearing if worker.slot in pins and not worker.inflight]
        slots = {None, *(worker.slot for worker in live)}
        assert pins <= slots or self.alarms or is_trying
        rich = [
            worker
            for worker in self.scheduler.workers
            if len(worker.inflight) > 1 and worker.inflight[-1].pin is None
        ]
        if idle and any(worker.recall is FREE for worker in rich):
            # Somebody else was asked instead, who is not counted on for ever.
            assert any(worker.recall is ASKED for worker in self.scheduler.workers)
            assert min(self.alarms) <= self.now + ANSWER_SECONDS
        if idle and not self.scheduler._backlog.n_queued:
            # What does not answer is not waited for.
            assert not [worker for worker in rich if worker.recall is SILENT and worker.is_noted]
        for worker in self.scheduler.workers:
            assert worker.state is not EXITED
            assert worker.state is not DRAINING or worker.inflight

    def drain(self) -> None:
        """Shut down and let everything run to its end; there must be one."""
        self.perform(self.scheduler.shutdown())
        for _ in range(20 * len(self.tasks) + 200):
            self.check()
            if self.n_stops:
                break
            self.advance()
        assert 1 == self.n_stops
        assert [] == self.unresolved()
        assert all(count <= self.may_begin[task] for task, count in self.n_begun.items())

    def advance(self) -> None:
        """Let every process do its next step."""
        for process in list(self.processes.values()):
            if process.worker not in self.processes:
                continue
            if process.is_retired:
                self.exit(process, is_known=True)
            elif not process.is_up:
                self.ready(process)
            elif not process.is_seen:
                self.look(process)
            elif process.answers:
                self.hear(process)
            elif process.recalls:
                self.give_back(process)
            elif process.unread:
                self.read(process)
            elif process.running is not None:
                self.finish(process, 0.001)
            elif process.mailbox or process.noted is not None:
                self.begin(process)
        if self.alarms:
            self.ring()


def tear_after(n_lines: int, event: Callable[[], Actions]) -> Actions:
    """Run an event, and raise `Torn` at the n-th line of the rules that it reaches."""
    left = n_lines

    def trace(frame: FrameType, what: str, _: object) -> Any:
        nonlocal left
        if "webworker_executor.rules." not in frame.f_globals["__name__"]:
            return None
        if what == "line":
            left -= 1
            if left == 0:
                raise Torn
        return trace

    before = sys.gettrace()
    sys.settrace(trace)
    try:
        return event()
    finally:
        sys.settrace(before)
