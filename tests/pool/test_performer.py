"""
The performer does what was decided, in that order, also what performing gives rise to.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

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
from webworker_executor.web.launchers import make_fork_launcher

if TYPE_CHECKING:
    from collections.abc import Callable


def make(on_broken: Callable[[], object], on_stopped: Callable[[], object]) -> Performer:
    scheduler = Scheduler(1)
    steps: Steps[do.Actions] = Steps(lambda: None, lambda: None)
    crew = Crew(Birth(make_fork_launcher()), 1)
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
