"""
The running task, for code that both sides import: only a worker can say which it is.
"""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any


def _nobody() -> Any:
    raise RuntimeError("no task runs here: this process is no worker")


_ask: Callable[[], Any] = _nobody


def install(ask: Callable[[], Any]) -> None:
    """Say who knows the running task of this process."""
    global _ask
    _ask = ask


def running_task() -> Any:
    """
    Return the running task.

    Raises:
        RuntimeError: None runs in this thread, or this process is no worker.
    """
    return _ask()
