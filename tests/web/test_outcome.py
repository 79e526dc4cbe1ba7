"""
Tests of `webworker_executor.web.outcome`: futures of what a process does.
"""

from __future__ import annotations

import asyncio
import threading

import pytest

from webworker_executor.web.outcome import WorkerOutcome


def test_it_is_settled_once() -> None:
    """
    The first outcome counts, and nobody can cancel it.
    """
    outcome: WorkerOutcome[int] = WorkerOutcome()
    assert (False, False) == (outcome.cancel(), outcome.cancelled())
    outcome.settle(1)
    outcome.settle(error=ValueError())
    assert 1 == outcome.result(0)
    failed: WorkerOutcome[int] = WorkerOutcome()
    failed.settle(error=ValueError("x"))
    with pytest.raises(ValueError, match="x"):
        failed.result(0)


def test_callbacks_run_where_handlers_run() -> None:
    """
    Never in the thread that settles it, and those who wait do not wait for them.
    """
    outcome: WorkerOutcome[int] = WorkerOutcome()
    called, release = threading.Event(), threading.Event()
    names: list[str] = []

    def callback(_: object) -> None:
        names.append(threading.current_thread().name)
        called.set()
        release.wait(10)

    outcome.add_done_callback(callback)
    outcome.settle(1)
    assert 1 == outcome.result(10)
    assert called.wait(10)
    release.set()
    assert ["webworker-events"] == names


def test_it_can_be_awaited() -> None:
    """
    On any loop, before and after it is settled.
    """

    async def main() -> list[int]:
        outcome: WorkerOutcome[int] = WorkerOutcome()
        asyncio.get_running_loop().run_in_executor(None, outcome.settle, 5)
        return [await outcome, await outcome]

    assert [5, 5] == asyncio.run(main())
