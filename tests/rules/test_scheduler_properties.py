"""
Let hypothesis invent the lives of pools, and hold the scheduler to its promises after every event.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    invariant,
    precondition,
    rule,
)

from tests.rules.world import World
from webworker_executor.rules.task import QUEUED

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.rules.world import Process

SECONDS = st.sampled_from([0.0, 1e-6, 1e-4, 0.003, 0.02, 1.0])
PACES = st.sampled_from([0.001, 0.010])


def can_begin(process: Process) -> bool:
    """Tell whether a process has something to take up, or has taken it up."""
    is_free = process.is_up and process.running is None
    return is_free and bool(process.mailbox or process.noted)


class PoolLives(RuleBasedStateMachine):
    """Live through anything that can happen to a pool."""

    world: World

    @initialize(
        max_workers=st.integers(1, 4),
        eager=st.booleans(),
        max_tasks_per_worker=st.sampled_from([None, None, 1, 2, 5]),
        break_on_crash=st.sampled_from([False, False, False, True]),
        prefetch_seconds=st.sampled_from([0.0, 0.010, 0.010]),
        max_prefetch=st.sampled_from([1, 2, 7, 1024]),
        idle_seconds=st.sampled_from([None, None, 0.05]),
        min_workers=st.integers(0, 2),
        is_noted=st.sampled_from([True, True, False]),
    )
    def open(self, **options: Any) -> None:
        self.world = World(**options)
        self.is_shut = False

    def pick(self, data: st.DataObject, fits: Callable[[Process], object]) -> Process | None:
        fitting = [process for process in self.world.processes.values() if fits(process)]
        return data.draw(st.sampled_from(fitting)) if fitting else None

    @precondition(lambda self: not self.is_shut)
    @rule(count=st.sampled_from([1, 1, 2, 5, 40]))
    def submit(self, count: int) -> None:
        for _ in range(count):
            if not self.world.n_breaks:
                self.world.submit()

    @precondition(lambda self: not self.is_shut)
    @rule(
        count=st.sampled_from([1, 1, 2, 5]),
        place=st.sampled_from([None, 0, 1, 2, 3]),
        retries=st.integers(0, 2),
        priority=st.sampled_from([0, 0, 1, 7, -1]),
    )
    def submit_special(self, count: int, place: int | None, retries: int, priority: int) -> None:
        for _ in range(count):
            if not self.world.n_breaks:
                pin = None if place is None else place % self.world.max_workers
                self.world.submit(pin, retries, priority)

    @rule(data=st.data())
    def ready(self, data: st.DataObject) -> None:
        if process := self.pick(data, lambda each: not each.is_up):
            self.world.ready(process)

    @rule(data=st.data())
    def begin(self, data: st.DataObject) -> None:
        if process := self.pick(data, can_begin):
            self.world.begin(process)

    @rule(data=st.data())
    def note(self, data: st.DataObject) -> None:
        if process := self.pick(data, lambda each: can_begin(each) and each.noted is None):
            self.world.note(process)

    @rule(data=st.data(), seconds=SECONDS, count=st.integers(1, 5))
    def work_unread(self, data: st.DataObject, seconds: float, count: int) -> None:
        """A process answers, and the host has not read that yet."""
        if process := self.pick(data, lambda each: each.running or can_begin(each)):
            for _ in range(count):
                if process.running is not None:
                    self.world.answer(process, seconds)
                elif can_begin(process):
                    self.world.begin(process)

    @rule(data=st.data())
    def read(self, data: st.DataObject) -> None:
        if process := self.pick(data, lambda each: each.unread):
            self.world.read(process)

    @rule(data=st.data())
    def look(self, data: st.DataObject) -> None:
        if process := self.pick(data, lambda each: not each.is_seen):
            self.world.look(process)

    @rule(data=st.data())
    def hear(self, data: st.DataObject) -> None:
        if process := self.pick(data, lambda each: each.answers):
            self.world.hear(process)

    @rule(data=st.data(), seconds=SECONDS)
    def finish(self, data: st.DataObject, seconds: float) -> None:
        if process := self.pick(data, lambda each: each.running):
            self.world.finish(process, seconds)

    @rule(data=st.data(), seconds=SECONDS, count=st.integers(1, 30))
    def work(self, data: st.DataObject, seconds: float, count: int) -> None:
        for _ in range(count):
            process = self.pick(data, lambda each: each.running or can_begin(each))
            if process is None:
                return
            if process.running is None:
                self.world.begin(process)
            if process.running is not None:
                self.world.finish(process, seconds)

    @rule(data=st.data())
    def give_back(self, data: st.DataObject) -> None:
        if process := self.pick(data, lambda each: each.recalls):
            self.world.give_back(process)

    @rule(data=st.data())
    def ask_back(self, data: st.DataObject) -> None:
        if process := self.pick(data, lambda each: each.worker.inflight):
            self.world.ask_back(process)

    @rule(data=st.data(), is_up=st.booleans())
    def take_unheard(self, data: st.DataObject, is_up: bool) -> None:
        if process := self.pick(data, lambda each: each.is_up == is_up and each.worker.inflight):
            self.world.take_unheard(process)

    @rule(data=st.data())
    def drop(self, data: st.DataObject) -> None:
        if process := self.pick(data, lambda each: not each.is_seen):
            self.world.drop(process)

    @rule(data=st.data())
    def lose(self, data: st.DataObject) -> None:
        if process := self.pick(data, lambda each: each.n_marks != each.n_withheld):
            self.world.lose(process)

    @rule(data=st.data())
    def leave(self, data: st.DataObject) -> None:
        if process := self.pick(data, lambda each: each.is_retired):
            self.world.exit(process, is_known=True)

    @rule(data=st.data(), is_known=st.booleans())
    def crash(self, data: st.DataObject, is_known: bool) -> None:
        if process := self.pick(data, lambda each: True):
            # From whom tasks were withheld, of that one it is known.
            self.world.exit(process, is_known=is_known or process.n_withheld > 0)

    @rule(data=st.data(), transient=st.booleans())
    def fail_start(self, data: st.DataObject, transient: bool) -> None:
        if process := self.pick(data, lambda each: not each.is_up):
            self.world.fail_start(process, transient=transient)

    @precondition(lambda self: self.world.alarms)
    @rule()
    def ring(self) -> None:
        self.world.ring()

    @rule(data=st.data(), count=st.integers(1, 60))
    def cancel(self, data: st.DataObject, count: int) -> None:
        waiting = [task for task in self.world.unresolved() if task.state is QUEUED]
        for task in waiting[data.draw(st.integers(0, 3)) :][:count]:
            if task.state is QUEUED:
                self.world.cancel(task)

    @rule(data=st.data())
    def doom(self, data: st.DataObject) -> None:
        """A future is cancelled behind the scheduler's back, which shows at the hand-over."""
        waiting = [task for task in self.world.unresolved() if task.state is QUEUED]
        if waiting:
            self.world.doomed.add(data.draw(st.sampled_from(waiting)))

    @rule(slot=st.sampled_from([None, 0]))
    def wanted(self, slot: int | None) -> None:
        self.world.wanted(slot)

    @rule(max_workers=st.integers(1, 4))
    def resize(self, max_workers: int) -> None:
        self.world.resize(max_workers)

    @rule(data=st.data())
    def outgrow(self, data: st.DataObject) -> None:
        if process := self.pick(data, lambda each: each.is_up and each.running is None):
            self.world.outgrow(process)

    @rule(slot=st.integers(0, 3), count=st.sampled_from([1, 1, -1]))
    def keep(self, slot: int, count: int) -> None:
        self.world.keep(slot, count)

    @rule(data=st.data())
    def use(self, data: st.DataObject) -> None:
        if process := self.pick(data, lambda each: True):
            self.world.use(process)

    @precondition(lambda self: len(self.world.tasks) > 10)
    @rule(cancel=st.booleans())
    def shut_down(self, cancel: bool) -> None:
        self.is_shut = True
        self.world.shut_down(cancel=cancel)

    @precondition(lambda self: len(self.world.tasks) > 60)
    @rule()
    def break_all(self) -> None:
        self.world.break_all()

    @rule(n_lines=st.integers(1, 60))
    def tear(self, n_lines: int) -> None:
        """The next event that the scheduler decides is torn after so many lines."""
        self.world.tear_at = n_lines

    @invariant()
    def all_is_well(self) -> None:
        if hasattr(self, "world"):
            self.world.check()

    def teardown(self) -> None:
        if hasattr(self, "world"):
            self.world.tear_at = 0
            self.world.drain()


class SilentLives(PoolLives):
    """The same, where workers that have answered fast, and so have much, fall silent."""

    @initialize(max_workers=st.integers(2, 4), max_tasks_per_worker=st.sampled_from([None, 30]))
    def open(self, **options: Any) -> None:
        super().open(**options)
        for _ in range(4 * self.world.max_workers):
            self.world.submit()
        while self.world.unresolved():
            self.world.advance()

    @precondition(lambda self: not self.is_shut)
    @rule(
        data=st.data(),
        count=st.integers(10, 60),
        n_unread=st.integers(0, 3),
        n_passed=st.integers(0, 3),
    )
    def fall_silent(self, data: st.DataObject, count: int, n_unread: int, n_passed: int) -> None:
        """All work for a moment, then only one does, and alarms ring; others go on just then."""
        busy = self.pick(data, lambda each: each.is_up)
        for _ in range(count):
            if not self.world.n_breaks:
                self.world.submit()
        for process in list(self.world.processes.values()):
            if can_begin(process):
                self.world.begin(process)
            if process.running is not None:
                self.world.finish(process, 1e-6)
        while busy is not None and busy.worker in self.world.processes:
            if busy.running is not None:
                self.world.finish(busy, 1e-6)
            elif can_begin(busy):
                self.world.begin(busy)
            else:
                break
            self.world.check()
        others = [each for each in self.world.processes.values() if each is not busy]
        for process in others:
            self.work_a_little(process, n_unread)
        for _ in range(min(2, len(self.world.alarms))):
            self.world.ring()
        for process in others:
            if process.worker in self.world.processes:
                self.work_a_little(process, n_passed)

    def work_a_little(self, process: Process, count: int) -> None:
        for _ in range(count):
            if process.running is not None:
                self.world.answer(process, 1e-6)
            if can_begin(process):
                self.world.begin(process)


TestPoolLives = pytest.mark.slow(PoolLives.TestCase)
TestSilentLives = pytest.mark.slow(SilentLives.TestCase)
TestPoolLives.settings = TestSilentLives.settings = settings(
    max_examples=300, stateful_step_count=50, database=None, derandomize=True
)
