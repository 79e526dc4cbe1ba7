"""
What a process uses is a picture of one moment; see ``test_worker`` for one of a living worker.
"""

from __future__ import annotations

import os
import time
from types import SimpleNamespace
from typing import Any

from webworker_executor.web.process_statistics import take


def test_a_process_that_lives() -> None:
    """
    All of it can be had.
    """
    life: Any = SimpleNamespace(
        pid=os.getpid(), is_over=False, state="running", created_at=time.monotonic() - 5.0
    )
    used = take(life, n_waiting=2, buffered_nbytes=3)
    assert (os.getpid(), "running", 2, 3) == (
        used.pid,
        used.state,
        used.n_waiting,
        used.buffered_nbytes,
    )
    assert used.uptime >= 5.0
    assert used.cpu_seconds is not None
    assert used.cpu_seconds > 0.0
    assert used.memory_nbytes is not None
    assert used.memory_nbytes > 0


def test_a_process_that_has_ended_uses_nothing() -> None:
    """
    Also where another one has got its number.
    """
    life: Any = SimpleNamespace(pid=os.getpid(), is_over=True, state="exited", created_at=0.0)
    used = take(life, n_waiting=0, buffered_nbytes=3)
    assert (None, None, 0) == (used.cpu_seconds, used.memory_nbytes, used.buffered_nbytes)
