"""
What processes report: in what order, and what no worker would say.
"""

from __future__ import annotations

import os
import stat
from typing import TYPE_CHECKING

import pytest

from tests.dropin.gate import pass_gate
from tests.pool.work import double
from webworker_executor import BrokenWorkerPool, WebWorkerExecutor, WorkerCrashedError
from webworker_executor.wire.frame import encode
from webworker_executor.wire.kinds import ANSWER_PREFIX, READY, RESULT

if TYPE_CHECKING:
    from pathlib import Path

    from tests.dropin.gate import Gate
    from webworker_executor.web.launchers import LauncherName


def say(path: str, kind: int, ident: int, payload: bytes) -> None:
    """Write a frame into every socket of this worker, and wait at a gate."""
    frame = b"".join(encode(kind, ident, payload))
    for name in os.listdir("/proc/self/fd"):
        try:
            if stat.S_ISSOCK(os.stat(int(name)).st_mode):
                os.write(int(name), frame)
        except OSError:
            continue
    pass_gate(path, None)


@pytest.mark.parametrize(
    ("why", "kind", "ident"),
    [
        ("it answered a task that it was not given", RESULT, 1 << 40),
        ("it said twice that it was ready", READY, 0),
    ],
)
def test_a_worker_that_lies_is_ended(
    forked: WebWorkerExecutor, gate: Gate, why: str, kind: int, ident: int
) -> None:
    """
    Its task fails with what it did; the next one runs.
    """
    payload = ANSWER_PREFIX.pack(0.0, 0) if kind == RESULT else b""
    future = forked.submit(say, gate.path, kind, ident, payload)
    with pytest.raises(WorkerCrashedError, match=f"It was killed because {why}"):
        future.result(10.0)
    assert 4 == forked.submit(double, 2).result(10.0)


@pytest.mark.slow
def test_a_worker_that_dies_at_birth_is_not_tried_for_ever(
    launcher: LauncherName, caplog: pytest.LogCaptureFixture
) -> None:
    """
    After some tries every task fails with how the last one ended.
    """
    with WebWorkerExecutor(1, launcher=launcher, initializer=os._exit, initargs=(5,)) as pool:
        with pytest.raises(BrokenWorkerPool, match="no worker could be started") as caught:
            pool.submit(double, 1).result(20.0)
        assert "exited with status 5 before it was ready" in str(caught.value.__cause__)
    assert any("exited with status 5" in record.message for record in caplog.records)


@pytest.mark.slow
def test_a_pool_starts_again_when_starting_works(launcher: LauncherName, tmp_path: Path) -> None:
    """
    What waited has failed; what comes after that is tried anew.
    """
    needed = tmp_path / "needed"
    with WebWorkerExecutor(2, launcher=launcher, initializer=need, initargs=(needed,)) as pool:
        futures = [pool.submit(double, number) for number in range(5)]
        for future in futures:
            with pytest.raises(BrokenWorkerPool, match="no worker could be started"):
                future.result(30.0)
        assert 5 == pool.statistics().n_failed
        needed.touch()
        assert [0, 2, 4] == list(pool.map(double, range(3)))


def need(path: Path) -> None:
    if not path.exists():
        os._exit(5)
