"""
Tests of `webworker_executor.web.outcome`: futures of what a process does.
"""

from __future__ import annotations

import asyncio
import contextlib
import gc
import pickle
import threading
import weakref
from typing import TYPE_CHECKING, Any

import pytest

from tests.link.interrupts import WAITING, broken_off
from tests.patience import wait_until
from webworker_executor import Worker
from webworker_executor.web import lazy
from webworker_executor.web.outcome import WorkerOutcome

if TYPE_CHECKING:
    from collections.abc import Callable

SECONDS = 20.0


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


def watch(outcome: WorkerOutcome[Any]) -> None:
    outcome.add_done_callback(repr)


@pytest.mark.parametrize(
    "look",
    [
        lambda outcome: outcome.result(0.001),
        lambda outcome: outcome.exception(0.001),
        watch,
        repr,
    ],
)
def test_whoever_is_broken_off_holds_nobody_up(
    look: Callable[[WorkerOutcome[Any]], object], monkeypatch: pytest.MonkeyPatch
) -> None:
    """
    Wherever a signal handler raises that comes while somebody waits, the outcome is known at once.

    It is settled on the reactor, for which a lock that is left held would be the end.
    """

    def try_to_look() -> None:
        with contextlib.suppress(TimeoutError):
            look(outcome)

    monkeypatch.setattr(lazy, "PATIENCE", 0.01)
    outcome: WorkerOutcome[int] = WorkerOutcome()
    for step in broken_off(try_to_look, within=WAITING):
        later = outcome.then("value")
        reactor = threading.Thread(target=outcome.settle, args=(step,), daemon=True)
        reactor.start()
        reactor.join(SECONDS)
        assert not reactor.is_alive(), step
        assert (step, "value") == (outcome.result(SECONDS), later.result(SECONDS))
        outcome = WorkerOutcome()


def test_a_worker_ends_whose_waiter_was_broken_off() -> None:
    """
    Wherever a signal handler raises that comes while somebody waits until it is ready.
    """

    def try_to_wait() -> None:
        with contextlib.suppress(TimeoutError):
            worker.ready.result(0.001)

    # It never says that it is ready.
    worker = Worker(command=["cat"], handshake_timeout=0)
    for _ in broken_off(try_to_wait, within=WAITING):
        assert not worker.ready.done()
    worker.kill()
    assert -15 == worker.exited.result(SECONDS)
    assert worker.ready.exception(SECONDS) is not None


def test_it_resolves_late_where_somebody_counts() -> None:
    """
    The state stays as it is while ``wait`` holds the lock, and nobody else waits for that.
    """
    outcome: WorkerOutcome[int] = WorkerOutcome()
    seen: list[object] = []
    outcome.add_done_callback(seen.append)
    with outcome._condition:
        reactor = threading.Thread(target=outcome.settle, args=(1,))
        reactor.start()
        reactor.join(SECONDS)
        assert (False, True) == (outcome.done(), outcome.is_settled)
        later = outcome.then("value")
        # The first outcome counts, also before it is to be seen.
        outcome.settle(error=ValueError())
    assert (1, "value") == (outcome.result(SECONDS), later.result(SECONDS))
    wait_until(lambda: [outcome] == seen)


def test_it_is_not_sent() -> None:
    """
    A copy would never be resolved.
    """
    with pytest.raises(TypeError, match=r"cannot be sent: .*Pass its result\(\)$"):
        pickle.dumps(WorkerOutcome())
