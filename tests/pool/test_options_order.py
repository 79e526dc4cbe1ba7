"""
The terms that say when a task runs, and what a cancel does to it when it runs.
"""

from __future__ import annotations

import asyncio
from concurrent.futures import CancelledError
from typing import TYPE_CHECKING

import pytest

from tests.dropin.gate import Gate, pass_gate
from tests.patience import wait_until
from tests.pool import talking
from tests.pool.work import double, note

if TYPE_CHECKING:
    from webworker_executor import WebWorkerExecutor


def test_a_higher_priority_runs_first(forked: WebWorkerExecutor, gate: Gate) -> None:
    """
    Of those that wait, and within one priority in the order of submission.
    """
    first = forked.submit(pass_gate, gate.path, None)
    gate.wait_for_begun(1)
    for priority, name in [(0, "c"), (-1, "e"), (5, "b"), (0, "d"), (9, "a"), (-1, "f")]:
        forked.options(priority=priority).submit(note, name)
    gate.open()
    first.result(10.0)
    assert [*"abcdef", "end"] == forked.options(priority=-9).submit(note, "end").result(10.0)


def test_an_urgent_task_overtakes_those_handed_out_ahead(
    forked: WebWorkerExecutor, gate: Gate
) -> None:
    """
    A worker gives back what it has not begun.
    """
    for _ in forked.map(abs, range(100), chunksize=1):
        pass
    # Without a pause: behind a task that is late nothing is handed out ahead.
    forked.submit(pass_gate, gate.path, None)
    usual = [forked.submit(note, number) for number in range(50)]
    gate.wait_for_begun(1)
    urgent = forked.options(priority=1).submit(note, "urgent")
    _wait_until_it_is_next(forked)
    gate.open()
    assert ["urgent"] == urgent.result(10.0)[:1]
    assert [*range(50)] == usual[-1].result(10.0)[1:]


def _wait_until_it_is_next(pool: WebWorkerExecutor) -> None:
    (process,) = pool._pool.crew.processes.values()
    # Behind it, what was given back may have been handed out once more.
    wait_until(lambda: all(task.priority for task in tuple(process.worker.inflight)[1:2]))


def test_a_pinned_task_may_be_urgent(forked: WebWorkerExecutor, gate: Gate) -> None:
    """
    Its place runs it before what is pinned there without a priority.
    """
    forked.submit(pass_gate, gate.path, None)
    gate.wait_for_begun(1)
    pinned = forked.options(worker=0)
    usual = pinned.submit(note, "usual")
    urgent = pinned.options(priority=1).submit(note, "urgent")
    gate.open()
    assert ["urgent"] == urgent.result(10.0)[:1]
    assert ["urgent", "usual"] == usual.result(10.0)


def test_a_map_on_priority(forked: WebWorkerExecutor) -> None:
    """
    Each of its tasks has it.
    """
    assert [0, 2, 4] == list(forked.options(priority=2).map(double, range(3)))


def test_a_priority_is_a_number(forked: WebWorkerExecutor) -> None:
    """
    It is refused when it is named.
    """
    with pytest.raises(TypeError, match="priority must be an integer, not str"):
        forked.options(priority="high")  # type: ignore[arg-type]  # that is what is tested


def test_a_cancel_stops_what_runs(forked: WebWorkerExecutor) -> None:
    """
    If that was asked for: the future is cancelled, and its worker replaced.
    """
    future = forked.options(cancel_running=True).submit(talking.sleep_deaf)
    pid = future.messages().receive(10.0).data
    assert future.cancel()
    assert future.cancelled()
    with pytest.raises(CancelledError):
        future.result(0)
    assert pid != forked.submit(talking.pid).result(10.0)


def test_a_cancel_asks_a_task_that_listens(forked: WebWorkerExecutor) -> None:
    """
    Its worker goes on, as after an abort.
    """
    future = forked.options(cancel_running=True).submit(talking.heed)
    pid = future.messages().receive(10.0).data
    assert future.cancel()
    assert pid == forked.submit(talking.pid).result(10.0)


def test_a_cancel_leaves_others_running(forked: WebWorkerExecutor, gate: Gate) -> None:
    """
    Without the option it is that of the standard library, and so it is for a task that is done.
    """
    future = forked.submit(pass_gate, gate.path, "through")
    gate.wait_for_begun(1)
    assert not future.cancel()
    gate.open()
    assert "through" == future.result(10.0)
    done = forked.options(cancel_running=True).submit(double, 1)
    assert 2 == done.result(10.0)
    assert not done.cancel()


def test_asyncio_stops_what_it_cancels(forked: WebWorkerExecutor) -> None:
    """
    A time-out of a loop frees the worker, by way of ``run_in_executor`` and of ``await``.
    """
    view = forked.options(cancel_running=True)

    async def main() -> None:
        loop = asyncio.get_running_loop()
        future = view.submit(talking.sleep_deaf)
        await asyncio.to_thread(future.messages().receive, 10.0)
        with pytest.raises(TimeoutError):
            await asyncio.wait_for(future, 0.01)
        assert future.cancelled()
        running = loop.run_in_executor(view, talking.sleep_deaf)
        with pytest.raises(TimeoutError):
            await asyncio.wait_for(running, 0.5)
        assert 4 == await loop.run_in_executor(view, double, 2)

    asyncio.run(main())
