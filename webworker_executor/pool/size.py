"""
How large a pool may be, and how large and old each of its workers.

Not for what follows from that: ``rules`` decides, and workers weigh themselves.
"""

from __future__ import annotations

import operator

from webworker_executor.web.seconds import check_seconds

__all__ = ["Size", "check_count"]


def check_count(name: str, value: object) -> None:
    """
    Refuse what is no count, in the words of the standard library.

    Args:
        name: Of the option.
        value: ``None``, or a whole number that is positive.

    Raises:
        TypeError: It is no whole number.
        ValueError: It is less than 1.
    """
    if value is None:
        return
    if not isinstance(value, int):
        raise TypeError(f"{name} must be an integer")
    if value <= 0:
        raise ValueError(f"{name} must be >= 1")


class Size:
    """
    The bounds of a pool.

    Args:
        max_workers: How many workers there may be.
        min_workers: How many stay, however idle they are.
        idle_timeout: Seconds without a task after which a worker leaves; ``None`` for never.
        max_tasks: After how many tasks one is replaced; ``None`` for never.
        max_memory: Bytes of memory above which one is replaced after its task.
        memory_limit: Bytes of memory that a worker can get while it runs a task.

    Raises:
        TypeError: One of them has the wrong type.
        ValueError: One of them has a value that it cannot have.
    """

    __slots__ = (
        "idle_timeout",
        "max_memory",
        "max_tasks",
        "max_workers",
        "memory_limit",
        "min_workers",
    )

    def __init__(
        self,
        max_workers: int,
        *,
        min_workers: int = 0,
        idle_timeout: float | None = None,
        max_tasks: int | None = None,
        max_memory: int | None = None,
        memory_limit: int | None = None,
    ) -> None:
        check_count("max_tasks_per_child", max_tasks)
        check_count("max_memory_per_child", max_memory)
        check_count("memory_limit", memory_limit)
        if not 0 <= operator.index(min_workers) <= max_workers:
            raise ValueError(
                f"min_workers must be 0 or more and at most max_workers ({max_workers}), not "
                f"{min_workers!r}"
            )
        if idle_timeout is not None:
            check_seconds("idle_timeout", idle_timeout, may_be_zero=False)
        if min_workers and idle_timeout is None:
            raise ValueError("min_workers means something only together with idle_timeout")
        self.max_workers = max_workers
        self.min_workers = min_workers
        self.idle_timeout = idle_timeout
        self.max_tasks = max_tasks
        self.max_memory = max_memory
        self.memory_limit = memory_limit
