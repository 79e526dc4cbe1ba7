"""
Global variables that do not pickle, and what a function of the main module finds in their place.

For: locks, events, queues and the like, of which every process has its own, as it would if it had
run the main module itself.
Not for: things that hold something which a new one would lack. Those raise, as they are packed.
"""

from __future__ import annotations

from webworker_executor.wire import arrival

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any

__all__ = ["VERSION", "stand_in_for"]

VERSION = "its own"
"""What tells the content of such a variable: once a process has it, it stays."""


def _nothing(_: Any) -> tuple[Any, ...]:
    return ()


def _size(queue: Any) -> tuple[Any, ...]:
    return (queue.maxsize,)


def _unshared(condition: Any) -> tuple[Any, ...] | None:
    # A lock that was given, which is of another kind, others have as well.
    return () if type(condition._lock).__name__ == "RLock" else None


# By type: what makes another one, and of what; of None, there can be none.
_KINDS: dict[str, tuple[str, str, Callable[[Any], tuple[Any, ...] | None]]] = {
    "_thread.lock": ("_thread", "allocate_lock", _nothing),
    "_thread.RLock": ("_thread", "RLock", _nothing),
    "_thread._local": ("_thread", "_local", _nothing),
    "threading.Event": ("threading", "Event", _nothing),
    "threading.Condition": ("threading", "Condition", _unshared),
    "threading.Semaphore": ("threading", "Semaphore", lambda given: (given._value,)),
    "threading.BoundedSemaphore": (
        "threading",
        "BoundedSemaphore",
        lambda given: (given._initial_value,),
    ),
    "threading.Barrier": ("threading", "Barrier", lambda given: (given.parties,)),
    "queue.Queue": ("queue", "Queue", _size),
    "queue.LifoQueue": ("queue", "LifoQueue", _size),
    "queue.PriorityQueue": ("queue", "PriorityQueue", _size),
    "_queue.SimpleQueue": ("_queue", "SimpleQueue", _nothing),
}


class _StandIn:
    def __init__(self, *made_by: Any) -> None:
        self._made_by = made_by

    def __reduce__(self) -> tuple[Any, ...]:
        return arrival.make_own, self._made_by


def stand_in_for(value: object) -> object | None:
    """
    Return what packs to a new thing of the same kind; None if that would not do.

    Args:
        value: The value of a global variable, which does not pickle.
    """
    kind = type(value)
    found = _KINDS.get(f"{kind.__module__}.{kind.__qualname__}")
    if found is None:
        return None
    module, name, arguments_of = found
    arguments = arguments_of(value)
    return None if arguments is None else _StandIn(module, name, arguments)
