"""
What of this process only a worker knows, for code that both sides import: the task that runs, the
way to the host, and what can be taken back of a task.
"""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from typing import Any, Protocol

    from webworker_executor.wire.frame import Parts

    Post = Callable[[Parts, Sequence[Any]], object]

    class Divisible(Protocol):
        """A task that runs, and consists of steps one after the other."""

        def divide(self, tell: Callable[[int], object]) -> None:
            """Tell how many steps have not begun, and never begin them; any thread."""


def _nobody(*_: object) -> Any:
    raise RuntimeError("no task runs here: this process is no worker")


_ask: Callable[[], Any] = _nobody
_post: Post = _nobody
_number: Callable[[], int] = int
divisible: tuple[int, Divisible] | None = None
"""The task that runs, with its number, if it is one. Whoever runs it takes it out, too."""


def install(ask: Callable[[], Any], post: Post, number: Callable[[], int]) -> None:
    """Say who knows the running task of this process, who writes to its host, and its number."""
    global _ask, _post, _number, divisible
    # A forked process has that of its parent.
    _ask, _post, _number, divisible = ask, post, number, None


def be_divisible(task: Divisible) -> None:
    """Have the task that runs be divided by what is given."""
    global divisible
    # With its number: if a signal handler keeps it from being taken out, it is nobody else's.
    divisible = _number(), task


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
