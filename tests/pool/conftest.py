"""
What the tests of the pool share: a pool of two workers for each launcher, and a gate.

A test that takes both names the pool first: the gate is then opened before the pool waits.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.dropin.gate import Gate
from webworker_executor import WebWorkerExecutor

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from webworker_executor.web.launchers import LauncherName


@pytest.fixture
def pool(launcher: LauncherName) -> Iterator[WebWorkerExecutor]:
    """
    Make a pool of two workers, and shut it down after the test.
    """
    with WebWorkerExecutor(2, launcher=launcher) as executor:
        yield executor


@pytest.fixture
def forked() -> Iterator[WebWorkerExecutor]:
    """
    Make a pool of one worker that starts in a millisecond, for what no launcher changes.
    """
    with WebWorkerExecutor(1, launcher="fork") as executor:
        yield executor


@pytest.fixture
def gate(tmp_path: Path) -> Iterator[Gate]:
    """
    Make a gate, and open it after the test at the latest.
    """
    gate = Gate(tmp_path)
    yield gate
    gate.close()
