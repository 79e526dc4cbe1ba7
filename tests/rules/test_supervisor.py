"""
Births, deaths, shutdown, breakage and tears.
"""

from __future__ import annotations

from collections import deque

import pytest

from tests.rules.crew import SHORT, SpecialTask, make_crew, make_tasks, n_queued
from tests.rules.world import World
from webworker_executor.rules.action import (
    Alarm,
    Break,
    Cancel,
    Fail,
    GiveUp,
    Recall,
    Retire,
    Send,
    Start,
    Stopped,
    Withhold,
)
from webworker_executor.rules.scheduler import Scheduler
from webworker_executor.rules.supervisor import UNKNOWN, culprit_of, not_begun
from webworker_executor.rules.task import CANCELLED, DONE, QUEUED, SENT, Task
from webworker_executor.rules.worker import CLOSING, DEAF, DRAINING, READY, WITHHELD, Worker


def test_the_begun_task_pays_and_the_rest_goes_on() -> None:
    """A crash fails the task that ran; the others are next in line, in order, on a new worker."""
    scheduler, (worker,) = make_crew(1, max_prefetch=3)
    tasks = make_tasks(4)
    for task in tasks:
        scheduler.submitted(task)
    scheduler.task_finished(worker, tasks[0], SHORT)
    assert tasks[1:2] == list(worker.inflight)[:1]
    actions = scheduler.worker_exited(worker, tasks[1], 0.0)
    (heir,) = scheduler.workers
    assert [Fail(tasks[1], worker), Start(heir), Send(heir, [tasks[2]])] == list(actions)
    assert (worker.slot, 1) == (heir.slot, n_queued(scheduler))


def test_what_ran_before_the_begun_task_does_not_run_again() -> None:
    """Where answers were lost with the worker, their tasks fail as well."""
    scheduler, (worker,) = make_crew(1, max_prefetch=8)
    tasks = make_tasks(12)
    for task in tasks:
        scheduler.submitted(task)
    scheduler.task_finished(worker, tasks[0], SHORT)
    held = list(worker.inflight)
    assert len(held) > 2
    actions = scheduler.worker_exited(worker, held[1], 0.0)
    assert [Fail(task, worker) for task in held[:2]] == list(actions)[:2]
    assert not any(isinstance(action, Fail) for action in list(actions)[2:])
    (heir,) = scheduler.workers
    assert held[2] is heir.inflight[0]


def test_unknown_charges_the_oldest() -> None:
    """Where nobody knows what had begun, the head of the line pays."""
    scheduler, (worker,) = make_crew(1)
    (task,) = make_tasks(1)
    scheduler.submitted(task)
    assert [Fail(task, worker)] == list(scheduler.worker_exited(worker, UNKNOWN, 0.0))


def test_three_unbegun_deaths_are_charged() -> None:
    """A task that is at the head of three dead workers is the likely cause, begun or not."""
    scheduler, (task,) = Scheduler(1), make_tasks(1)
    scheduler.submitted(task)
    failures = []
    for _ in range(3):
        (worker,) = scheduler.workers
        scheduler.worker_ready(worker)
        actions = scheduler.worker_exited(worker, None, 0.0)
        failures.append([action for action in actions if isinstance(action, Fail)])
    assert [[], [], [Fail(task, worker)]] == failures


def test_a_task_that_was_to_be_stopped_does_not_survive() -> None:
    """However many deaths of workers it may survive, this one was meant for it."""
    scheduler, (worker,) = make_crew(1)
    task = SpecialTask(1, retries=3)
    scheduler.submitted(task)
    actions = scheduler.worker_exited(worker, task, 0.0, asked=True)
    assert [Fail(task, worker)] == list(actions)


def test_a_death_that_was_asked_for_is_no_strike() -> None:
    """It was meant for a task that had just ended, not for the one behind it."""
    scheduler, (task,) = Scheduler(1), make_tasks(1)
    scheduler.submitted(task)
    (worker,) = scheduler.workers
    scheduler.worker_ready(worker)
    scheduler.worker_exited(worker, None, 0.0, asked=True)
    assert (0, SENT) == (task.strikes, task.state)


def test_a_death_is_blamed_on_what_ran() -> None:
    """On the head of the line where that is not known, and on nothing before the worker is up."""
    scheduler, (worker,) = make_crew(1)
    tasks = make_tasks(3)
    for task in tasks[:2]:
        scheduler.submitted(task)
    worker.inflight = deque(tasks[:2])
    assert tasks[:2] == [culprit_of(worker, UNKNOWN), culprit_of(worker, tasks[1])]
    assert [None, None] == [culprit_of(worker, None), culprit_of(worker, tasks[2])]
    worker.inflight = deque()
    assert culprit_of(worker, UNKNOWN) is None
    unready = Worker(1, 1)
    unready.inflight = deque(tasks)
    assert culprit_of(unready, UNKNOWN) is None


def test_a_crash_breaks_the_pool_if_so_told() -> None:
    """With the stdlib's semantics one death fails all."""
    scheduler, (first, second) = make_crew(2, break_on_crash=True)
    tasks = make_tasks(5)
    for task in tasks:
        scheduler.submitted(task)
    (action,) = scheduler.worker_exited(first, UNKNOWN, 0.0)
    assert isinstance(action, Break)
    assert sorted(task.ident for task in action.tasks) == [0, 1, 2, 3, 4]
    assert (first, CLOSING) == (action.worker, second.state)


def test_a_failed_start_is_tried_again_later() -> None:
    """The retry waits for its alarm, twice as long each time, and the task bears no strike."""
    scheduler, (task,) = Scheduler(1), make_tasks(1)
    scheduler.submitted(task)
    now, alarms = 0.0, []
    for _ in range(2):
        (worker,) = scheduler.workers
        (alarm,) = scheduler.worker_exited(worker, UNKNOWN, now)
        assert isinstance(alarm, Alarm)
        alarms.append(alarm.at - now)
        now = alarm.at
        start, _ = scheduler.clock(now)
        assert [Start(scheduler.workers[0])] == [start]
    assert pytest.approx([0.1, 0.2]) == alarms
    assert task.strikes == 0


def test_an_early_clock_is_told_to_come_again() -> None:
    """Before its time an alarm starts nothing."""
    scheduler, (task,) = Scheduler(1), make_tasks(1)
    scheduler.submitted(task)
    scheduler.start_failed(scheduler.workers[0], 0.0)
    assert [Alarm(0.1)] == list(scheduler.clock(0.05))


@pytest.mark.parametrize("breaks", [False, True])
def test_workers_that_cannot_start_fail_what_waits(breaks: bool) -> None:
    """After three attempts every task gets one clear error; what comes then is tried anew."""
    scheduler, tasks = Scheduler(2, break_on_crash=breaks), make_tasks(3)
    for task in tasks:
        scheduler.submitted(task)
    now, actions = 0.0, scheduler.clock(0.0)
    while scheduler.workers:
        for worker in scheduler.workers:
            actions = scheduler.start_failed(worker, now)
        if n_queued(scheduler):
            now += 1.0
            scheduler.clock(now)
    (action,) = actions
    assert isinstance(action, Break if breaks else GiveUp)
    assert set(tasks) == set(action.tasks)
    assert pytest.approx(2.0) == now
    (late,) = make_tasks(1)
    kinds = [type(action) for action in scheduler.submitted(late)]
    assert ([Break] if breaks else [Start, Send]) == kinds


def test_a_living_worker_keeps_the_pool_going() -> None:
    """While one worker is up, the others' failures do not break the pool."""
    scheduler, tasks = Scheduler(2), make_tasks(3)
    scheduler.submitted(tasks[0])
    (alive,) = scheduler.workers
    scheduler.worker_ready(alive)
    scheduler.submitted(tasks[1])
    now = 0.0
    for _ in range(6):
        (alarm,) = scheduler.start_failed(scheduler.workers[1], now)
        assert isinstance(alarm, Alarm)
        now = alarm.at
        scheduler.clock(now)
    assert tasks[:1] == list(alive.inflight)


def test_lack_of_room_is_waited_out() -> None:
    """Starts that the system has no room for are tried for ten seconds."""
    scheduler, (task,) = Scheduler(1), make_tasks(1)
    scheduler.submitted(task)
    now = 0.0
    n_tries = 0
    while scheduler.workers:
        n_tries += 1
        (action,) = scheduler.start_failed(scheduler.workers[0], now, transient=True)
        if isinstance(action, GiveUp):
            break
        assert isinstance(action, Alarm)
        now = action.at
        scheduler.clock(now)
    assert pytest.approx(10.0) == now
    assert n_tries > 3


def test_shutdown_finishes_what_was_submitted() -> None:
    """Idle workers leave, busy ones end their work first, and the last exit concludes."""
    scheduler, (idle, busy) = make_crew(2)
    (task,) = make_tasks(1)
    scheduler.submitted(task)
    assert [Retire(idle)] == list(scheduler.shutdown())
    assert [Retire(busy)] == list(scheduler.task_finished(busy, task, SHORT))
    assert not scheduler.worker_exited(idle, None, 0.0)
    assert [Stopped()] == list(scheduler.worker_exited(busy, None, 0.0))
    assert not scheduler.shutdown()


def test_shutdown_of_an_unused_pool_is_at_once() -> None:
    """Without workers there is nothing to wait for."""
    assert [Stopped()] == list(Scheduler(2).shutdown())


def test_shutdown_may_cancel_what_waits() -> None:
    """Waiting tasks are cancelled in order, sent ones are not."""
    scheduler, _ = make_crew(1, max_prefetch=1)
    tasks = make_tasks(3)
    for task in tasks:
        scheduler.submitted(task)
    assert [Cancel(tasks[1:])] == list(scheduler.shutdown(cancel=True))
    assert [SENT, CANCELLED, CANCELLED] == [task.state for task in tasks]


def test_a_crash_during_shutdown_is_made_good() -> None:
    """Tasks that still wait get a new worker, though the pool is shutting down."""
    scheduler, tasks = Scheduler(1), make_tasks(2)
    for task in tasks:
        scheduler.submitted(task)
    (worker,) = scheduler.workers
    scheduler.worker_ready(worker)
    scheduler.shutdown()
    actions = scheduler.worker_exited(worker, UNKNOWN, 0.0)
    (heir,) = scheduler.workers
    assert [Fail(tasks[0], worker), Start(heir), Send(heir, [tasks[1]])] == list(actions)


def test_a_break_takes_everything_along_once() -> None:
    """All tasks come in one Break, and what workers say later changes nothing."""
    scheduler, tasks = Scheduler(1), make_tasks(3)
    for task in tasks:
        scheduler.submitted(task)
    (worker,) = scheduler.workers
    assert [Break("the end", tasks)] == list(scheduler.break_("the end"))
    late = [
        scheduler.break_(),
        scheduler.worker_ready(worker),
        scheduler.task_finished(worker, tasks[0], SHORT),
        scheduler.tasks_returned(worker, [0]),
        scheduler.task_cancelled(tasks[1]),
        scheduler.worker_exited(worker, UNKNOWN, 0.0),
    ]
    assert [[]] * 6 == [list(actions) for actions in late]
    (task,) = make_tasks(1, first=3)
    assert [Break("the end", [task])] == list(scheduler.submitted(task))
    assert [Stopped()] == list(scheduler.shutdown())


def test_recover_keeps_what_workers_hold_and_queues_the_rest_once() -> None:
    """After a tear every unfinished task is in one place, in order."""
    scheduler, (worker,) = make_crew(1)
    tasks = make_tasks(4)
    for task in tasks[:3]:
        scheduler.submitted(task)
    held = list(worker.inflight)
    worker.inflight.append(held[0])
    worker.recall = "asked"
    assert not [
        action for action in scheduler.recover(tasks) if not isinstance(action, (Send, Recall))
    ]
    waiting = [task for task in tasks if task not in worker.inflight]
    assert held == list(worker.inflight)[: len(held)]
    assert len(set(worker.inflight)) == len(worker.inflight)
    assert (len(waiting), [QUEUED] * len(waiting)) == (
        n_queued(scheduler),
        [task.state for task in waiting],
    )


def test_recover_repeats_what_may_be_lost() -> None:
    """Starts, retirements and alarms that may not have been performed are asked for again."""
    scheduler, tasks = Scheduler(2), make_tasks(2)
    for task in tasks:
        scheduler.submitted(task)
    first, second = scheduler.workers
    (alarm,) = scheduler.start_failed(second, 0.0)
    assert [Start(first), alarm] == list(scheduler.recover(tasks))


@pytest.mark.parametrize("state", [DONE, CANCELLED])
def test_recover_leaves_outcomes_alone(state: str) -> None:
    """What has an outcome does not run again."""
    scheduler, (worker,) = make_crew(1)
    task = Task(0)
    scheduler.submitted(task)
    task.state = state
    assert not scheduler.recover([task])
    assert (state, READY, 0) == (task.state, worker.state, len(worker.inflight))


def test_a_cancel_reaches_what_lies_in_a_worker_that_is_not_up() -> None:
    """It is asked back, and cancelled when it comes; what has begun by then runs on."""
    scheduler, tasks = Scheduler(2), make_tasks(2)
    for task in tasks:
        scheduler.submitted(task)
    first, second = scheduler.workers
    actions = scheduler.shutdown(cancel=True)
    assert [Recall(first, 1), Recall(second, 1)] == list(actions)
    assert not scheduler.shutdown(cancel=True)
    assert [Cancel(tasks[:1]), Retire(first)] == list(scheduler.tasks_returned(first, [0]))
    assert not scheduler.tasks_returned(second, [])
    assert SENT == tasks[1].state


def test_what_a_worker_has_not_begun_is_behind_what_it_has() -> None:
    """All where what it began last is answered; nothing where nobody knows, or it has heard."""
    worker, tasks = Worker(0, 0), [Task(ident) for ident in (4, 5, 6)]
    worker.inflight.extend(tasks)
    assert [] == not_begun(worker, 5)
    worker.recall = WITHHELD
    told = [not_begun(worker, begun) for begun in (4, 5, 6, 0, None)]
    assert [tasks[1:], tasks[2:], [], tasks, []] == told
    worker.answered = 3
    assert [tasks, []] == [not_begun(worker, begun) for begun in (3, 7)]


def test_a_tear_leaves_a_deaf_worker_deaf() -> None:
    """It is told once more, in case it never was."""
    scheduler, (worker,) = make_crew(1)
    worker.step("deafen")
    assert [Withhold(worker)] == list(scheduler.recover([]))
    assert (DEAF, WITHHELD) == (worker.state, worker.recall)


def test_a_tear_leaves_who_was_withheld_from_and_drains_so() -> None:
    """What it holds it would pass over for ever, had the tear lost its marks."""
    scheduler, (worker,) = make_crew(1)
    (task,) = make_tasks(1)
    scheduler.submitted(task)
    worker.step("drain")
    worker.recall = WITHHELD
    assert Withhold(worker) in scheduler.recover([task])
    assert (DRAINING, WITHHELD) == (worker.state, worker.recall)


@pytest.mark.parametrize("is_up", [False, True])
def test_a_tear_leaves_who_was_withheld_from_before_it_was_up_so(is_up: bool) -> None:
    """It would pass over for ever what it holds, and is told once more, in case it never was."""
    scheduler, (task,) = Scheduler(1), make_tasks(1)
    scheduler.submitted(task)
    (worker,) = scheduler.workers
    assert [Withhold(worker)] == list(scheduler.unheard(worker))
    if is_up:
        scheduler.worker_ready(worker)
    assert Withhold(worker) in scheduler.recover([task])
    assert WITHHELD == worker.recall


def test_a_retry_is_cancelled_with_the_rest() -> None:
    """What would run again after a death does not, once all that waits was cancelled."""
    scheduler, (worker,) = make_crew(1)
    task = SpecialTask(5, None, 3)
    scheduler.submitted(task)
    scheduler.shutdown(cancel=True)
    assert [Cancel([task]), Stopped()] == list(scheduler.worker_exited(worker, task, 0.0))


@pytest.mark.parametrize("n_lines", range(1, 40))
def test_a_death_that_breaks_the_pool_does_so_wherever_it_is_torn(n_lines: int) -> None:
    """What ran fails, and does not run again."""
    world = World(1, break_on_crash=True)
    world.submit()
    (process,) = world.processes.values()
    world.ready(process)
    world.begin(process)
    world.tear_at = n_lines
    world.exit(process, is_known=True)
    world.tear_at = 0
    world.drain()
    assert [1] == list(world.n_begun.values())
    assert {"broken", "failed"} >= set(world.outcome.values())
    assert [] == list(world.processes)
