"""
Tests of `webworker_executor.web.running`: the running task, where there is one.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from webworker_executor import WebWorkerExecutor
from webworker_executor.web.running import running_task

if TYPE_CHECKING:
    from webworker_executor.web.launchers import LauncherName


def ident() -> int:
    return int(running_task().id)


def test_the_host_runs_no_task() -> None:
    """
    Outside a worker nobody can say.
    """
    with pytest.raises(RuntimeError, match="this process is no worker"):
        running_task()


def test_a_worker_knows_its_task(launcher: LauncherName) -> None:
    """
    Each task has a number of its own.
    """
    with WebWorkerExecutor(1, launcher=launcher) as pool:
        first, second = (pool.submit(ident).result(20.0) for _ in range(2))
    assert first != second
