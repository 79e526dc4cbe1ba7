"""
What workers do with shared memory, to be imported by them.
"""

from __future__ import annotations

import os
import signal
from typing import TYPE_CHECKING

from webworker_executor import Atomics, SharedBuffer

if TYPE_CHECKING:
    from webworker_executor import MessagePort

LIMIT = 10.0


def make(value: int) -> SharedBuffer:
    """Make a buffer whose first byte is the value."""
    shared = SharedBuffer(64)
    shared[0] = value
    return shared


def write(shared: SharedBuffer, index: int, value: int) -> SharedBuffer:
    """Write a byte, and send the buffer back."""
    shared[index] = value
    return shared


def read(shared: SharedBuffer, index: int) -> int:
    """Read a byte."""
    return shared[index]


def is_same(shared: SharedBuffer, others: list[SharedBuffer]) -> bool:
    """Whether all are one object."""
    return all(other is shared for other in others)


def count(shared: SharedBuffer, times: int, form: str = "i") -> None:
    """Add one to the second number, so many times."""
    with memoryview(shared) as whole, whole.cast(form) as view:  # type: ignore[call-overload]  # one of the formats
        for _ in range(times):
            Atomics.add(view, 1, 1)


def sleep(shared: SharedBuffer, index: int) -> str:
    """Tell that it is about to sleep, and sleep."""
    Atomics.add(shared, 0, 1)
    return Atomics.wait(shared, index, 0, LIMIT)


def die_holding(shared: SharedBuffer) -> None:
    """Die in the middle of a change."""
    guard = shared._guarded()
    with guard.threads, guard:
        os.kill(os.getpid(), signal.SIGKILL)
        signal.pause()


def increment(port: MessagePort) -> None:
    """For each message, add one to the first byte of the buffer that came first."""
    shared: SharedBuffer = port.receive(LIMIT).data
    for event in port:
        shared[0] += 1
        port.post_message(event.data)
