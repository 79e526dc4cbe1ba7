"""
Tests of `webworker_executor.web.outcome`: futures of what a process does.
"""

from __future__ import annotations

import asyncio
import gc
import threading
import weakref

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


@pytest.mark.parametrize("is_settled_before", [True, False])
@pytest.mark.parametrize("error", [None, ValueError("x")])
def test_one_that_resolves_to_something_else(
    is_settled_before: bool, error: ValueError | None
) -> None:
    """It does so when the first one does, which holds the value no longer than that."""

    class Value:
        """Something that can be referred to weakly."""

    outcome: WorkerOutcome[int] = WorkerOutcome()
    if is_settled_before:
        outcome.settle(1, error)
    value = Value()
    later = outcome.then(value)
    outcome.settle(1, error)
    if error is None:
        assert value is later.result(0)
    else:
        assert error is later.exception(0)
    still = weakref.ref(value)
    del later, value
    gc.collect()
    assert still() is None


def test_what_resolves_to_something_else_in_a_forked_copy() -> None:
    """It fails there as the first one does."""
    outcome: WorkerOutcome[int] = WorkerOutcome()
    later = outcome.then("value")
    outcome.disown(error=RuntimeError("forked"))
    with pytest.raises(RuntimeError, match="forked"):
        later.result(0)
