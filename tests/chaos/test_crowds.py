"""Many tasks, cancels and threads at once: each task is done or cancelled, and none is both."""

from __future__ import annotations

from concurrent.futures import wait
from functools import partial
from typing import TYPE_CHECKING

import pytest

from tests.chaos.faults import same
from tests.threads import run_together
from webworker_executor import WebWorkerExecutor, current_task

if TYPE_CHECKING:
    from webworker_executor.web.launchers import LauncherName

pytestmark = pytest.mark.slow

LIMIT = 50.0
N_TASKS = 10_000
N_THREADS = 50


def await_word() -> object:
    """Keep a worker until the program says a word."""
    return current_task().receive(LIMIT).data


def test_ten_thousand_wait_and_ten_thousand_are_cancelled(launcher: LauncherName) -> None:
    """While the workers are busy, all of these can be; and all the rest is done."""
    with WebWorkerExecutor(2, launcher=launcher) as pool:
        busy = [pool.submit(await_word) for _ in range(2)]
        futures = [pool.submit(same, number) for number in range(2 * N_TASKS)]
        assert all(future.cancel() for future in futures[N_TASKS:])
        for future in busy:
            future.post_message("go on")
        assert set() == wait(futures, LIMIT).not_done
        assert list(range(N_TASKS)) == [future.result(0) for future in futures[:N_TASKS]]
        assert all(future.cancelled() for future in futures[N_TASKS:])
        assert ["go on", "go on"] == [future.result(LIMIT) for future in busy]


def test_fifty_threads_submit_at_once(launcher: LauncherName) -> None:
    """Each has its own answers, in its own order."""
    answers: dict[int, list[object]] = {}

    def ask(pool: WebWorkerExecutor, thread: int) -> None:
        futures = [pool.submit(same, (thread, number)) for number in range(100)]
        answers[thread] = [future.result(LIMIT) for future in futures]

    with WebWorkerExecutor(2, launcher=launcher) as pool:
        run_together(*[partial(ask, pool, thread) for thread in range(N_THREADS)])
    expected = {thread: [(thread, number) for number in range(100)] for thread in range(N_THREADS)}
    assert expected == answers
