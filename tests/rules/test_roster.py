"""
The list of workers, by use.
"""

from __future__ import annotations

from webworker_executor.rules.roster import Roster
from webworker_executor.rules.task import Task
from webworker_executor.rules.worker import ASKED, DEAF, SILENT, WITHHELD, Worker


def make_roster(*loads: int) -> tuple[Roster, list[Worker]]:
    """Make a roster of ready workers that hold so many tasks each."""
    roster = Roster(len(loads))
    workers = [roster.start(slot, 0) for slot in range(len(loads))]
    for worker, load in zip(workers, loads, strict=True):
        worker.step("ready")
        worker.inflight.extend(Task(ident) for ident in range(load))
        roster.sort(worker)
    return roster, workers


def test_a_started_worker_is_fresh() -> None:
    """A worker counts as live from its Start on."""
    roster = Roster(2)
    worker = roster.start(1, 0)
    assert ([worker], [worker], [worker], []) == (
        roster.all,
        roster.live,
        roster.fresh,
        roster.idle,
    )


def test_sort_follows_the_state() -> None:
    """A worker stands where its state belongs."""
    roster, (idle, busy) = make_roster(0, 1)
    busy.step("drain")
    roster.sort(busy)
    assert ([idle], [idle], [busy]) == (roster.live, roster.idle, roster.draining)
    busy.step("exit")
    roster.sort(busy)
    assert ([idle], []) == (roster.all, roster.draining)


def test_numbers_are_never_used_again() -> None:
    """A replacement takes the slot, but not the number."""
    roster, (first,) = make_roster(0)
    first.step("exit")
    roster.sort(first)
    assert [0] == roster.free_slots()
    assert (1, 0) == (roster.start(0, 0).ident, 0)


def test_a_draining_worker_keeps_a_hand_busy() -> None:
    """A drained worker frees its slot, but what it runs counts against max_workers."""
    roster, (busy,) = make_roster(1)
    busy.step("drain")
    roster.sort(busy)
    assert [0] == roster.free_slots()
    assert not roster.has_hand_free()


def test_the_richest_may_be_asked_once() -> None:
    """Who holds most is asked, unless it was asked already."""
    roster, (_, rich, richest) = make_roster(1, 2, 3)
    assert roster.has_surplus()
    assert richest is roster.richest()
    richest.recall = ASKED
    assert rich is roster.richest()
    rich.recall = ASKED
    assert roster.richest() is None
    assert roster.n_recalls() == 2


def test_a_silent_worker_is_not_counted_on_nor_asked_again() -> None:
    """Whatever it holds."""
    roster, (_, rich) = make_roster(1, 2)
    rich.recall = SILENT
    assert roster.n_recalls() == 0
    assert roster.richest() is None


def test_from_a_silent_worker_with_an_entry_tasks_can_be_withheld() -> None:
    """Once, and if it holds any."""
    roster, workers = make_roster(1, 0, 2, 1)
    noted, empty, unknown, withheld = workers
    for worker in workers:
        worker.recall, worker.is_noted = SILENT, worker is not unknown
    withheld.recall = WITHHELD
    assert [noted] == roster.silent()
    noted.step("drain")
    assert [noted] == roster.silent()
    assert not empty.inflight


def test_a_deaf_worker_holds_its_place_and_keeps_no_hand_busy() -> None:
    """Without a task; with one it does."""
    roster, (deaf, busy) = make_roster(1, 1)
    deaf.step("deafen")
    roster.sort(deaf)
    assert not roster.has_hand_free()
    deaf.inflight.clear()
    roster.sort(deaf)
    assert DEAF == deaf.state
    assert ([deaf], [], []) == (roster.deaf, roster.idle, roster.free_slots())
    assert roster.has_hand_free()
    assert busy.inflight


def test_a_task_of_a_worker_that_does_not_answer_may_be_given_to_another() -> None:
    """So whoever runs dry looks, though it is the only one."""
    roster, (worker, _) = make_roster(1, 0)
    assert not roster.has_surplus()
    worker.recall = SILENT
    assert roster.has_surplus()


def test_a_worker_in_any_group_is_mentioned() -> None:
    """Groups that a torn step left in disagreement are all looked at."""
    roster, (first, second) = make_roster(0, 0)
    roster.all.remove(first)
    assert [second, first] == roster.mentioned()
