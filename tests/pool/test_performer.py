"""
The performer does what was decided, in that order, also what performing gives rise to.
"""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

from tests.pool.strike import Strike
from webworker_executor import WebWorkerExecutor
from webworker_executor.launch.fork import ForkLauncher
from webworker_executor.pool.birth import Birth
from webworker_executor.pool.broken import Breakage
from webworker_executor.pool.chronicle import Chronicle
from webworker_executor.pool.crew import Crew
from webworker_executor.pool.parts import PoolParts
from webworker_executor.pool.performer import Performer
from webworker_executor.pool.promises import Promises
from webworker_executor.pool.steps import Steps
from webworker_executor.rules import action as do
from webworker_executor.rules.scheduler import Scheduler

if TYPE_CHECKING:
    from collections.abc import Callable


def make(on_broken: Callable[[], object], on_stopped: Callable[[], object]) -> Performer:
    scheduler = Scheduler(1)
    steps: Steps[do.Actions] = Steps(lambda: None, lambda: None)
    crew = Crew(Birth(ForkLauncher()), 1)
    promises, breakage = Promises(), Breakage(on_crash=False)
    chronicle = Chronicle("", promises.call_back)
    parts = PoolParts(scheduler, promises, crew, breakage, steps, chronicle)
    return Performer(parts, on_broken, on_stopped)


def test_actions_are_performed_in_order() -> None:
    """
    First broken, then stopped.
    """
    seen: list[str] = []
    performer = make(lambda: seen.append("broken"), lambda: seen.append("stopped"))
    performer.perform([do.Break("why", [], None), do.Stopped()])
    assert ["broken", "stopped"] == seen


def test_what_performing_asks_for_comes_last() -> None:
    """
    What was decided first is done first, though a nested call asks for more.
    """
    seen: list[str] = []

    def nest() -> None:
        seen.append("broken")
        performer.perform([do.Stopped()])
        seen.append("asked")

    performer = make(nest, lambda: seen.append("stopped"))
    performer.perform([do.Break("why", [], None)])
    assert ["broken", "asked", "stopped"] == seen


def test_what_was_decided_for_a_worker_that_is_not_there_can_be_cancelled() -> None:
    """
    A handler raises before its start is begun: either the task is cancelled, or it is not.
    """
    number, is_over = 0, False
    while not is_over:
        number += 1
        with WebWorkerExecutor(1, launcher="fork") as executor:
            strike = Strike("Scheduler.submitted", number)
            strike.during(lambda executor=executor: executor.submit(time.sleep, 60.0))  # type: ignore[misc]  # bound early
            is_over = not strike.where
            (call,) = executor._pool.promises.calls.values()
            future = call.future
            # The only worker is free then: it would sleep otherwise.
            assert future.cancel() or future.abort(grace=0.0)
            assert 1 == executor.submit(abs, -1).result(20.0), strike.where
    assert number > 20
