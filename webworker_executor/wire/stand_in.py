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

_NOTHING: Callable[[Any], tuple[Any, ...]] = lambda _: ()  # noqa: E731  # a table of these follows
_SIZE: Callable[[Any], tuple[Any, ...]] = lambda queue: (queue.maxsize,)  # noqa: E731  # the same
# By type: what makes another one, and of what.
_KINDS: dict[str, tuple[str, str, Callable[[Any], tuple[Any, ...]]]] = {
    "_thread.lock": ("_thread", "allocate_lock", _NOTHING),
    "_thread.RLock": ("_thread", "RLock", _NOTHING),
    "_thread._local": ("_thread", "_local", _NOTHING),
    "threading.Event": ("threading", "Event", _NOTHING),
    "threading.Condition": ("threading", "Condition", _NOTHING),
    "threading.Semaphore": ("threading", "Semaphore", lambda semaphore: (semaphore._value,)),
    "threading.BoundedSemaphore": (
        "threading",
        "BoundedSemaphore",
        lambda semaphore: (semaphore._initial_value,),
    ),
    "threading.Barrier": ("threading", "Barrier", lambda barrier: (barrier.parties,)),
    "queue.Queue": ("queue", "Queue", _SIZE),
    "queue.LifoQueue": ("queue", "LifoQueue", _SIZE),
    "queue.PriorityQueue": ("queue", "PriorityQueue", _SIZE),
    "_queue.SimpleQueue": ("_queue", "SimpleQueue", _NOTHING),
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
    module, name, arguments = found
    return _StandIn(module, name, arguments(value))
