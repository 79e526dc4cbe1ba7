"""
What of this process only a worker knows, for code that both sides import: the task that runs, and
the way to the host.
"""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from typing import Any

    from webworker_executor.wire.frame import Parts

    Post = Callable[[Parts, Sequence[Any]], object]


def _nobody(*_: object) -> Any:
    raise RuntimeError("no task runs here: this process is no worker")


_ask: Callable[[], Any] = _nobody
_post: Post = _nobody


def install(ask: Callable[[], Any], post: Post) -> None:
    """Say who knows the running task of this process, and who writes to its host."""
    global _ask, _post
    _ask, _post = ask, post


def running_task() -> Any:
    """
    Return the running task.

    Raises:
        RuntimeError: None runs in this thread, or this process is no worker.
    """
    return _ask()


def is_worker() -> bool:
    """Whether this process has a host."""
    return _post is not _nobody


def post_to_host(parts: Parts, fds: Sequence[Any]) -> None:
    """
    Write a frame to the host.

    Raises:
        RuntimeError: This process is no worker, or a copy that a task has forked.
        OSError: The host is gone.
    """
    _post(parts, fds)
