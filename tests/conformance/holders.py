"""
What the workers of these tests run: they hold ports, and do little with them.
"""

from __future__ import annotations

import array
import os
import signal
from pickle import PickleBuffer
from typing import TYPE_CHECKING, Any

from webworker_executor import BroadcastChannel, current_task

if TYPE_CHECKING:
    from webworker_executor import MessagePort

LIMIT = 10.0


class Block:
    """Memory that pickles out of band, as arrays of numerical libraries do."""

    def __init__(self, buffer: Any) -> None:
        self.view = memoryview(buffer).cast("B")

    @classmethod
    def of(cls, start: bytes, nbytes: int) -> Block:
        """Make one that begins so."""
        return cls(array.array("b", start.ljust(nbytes, b".")))

    def __reduce_ex__(self, protocol: Any) -> tuple[Any, ...]:
        return Block, (PickleBuffer(self.view),)

    def start(self, nbytes: int) -> bytes:
        """Copy its first bytes."""
        return bytes(self.view[:nbytes])


def collect_starts(port: MessagePort) -> list[bytes]:
    """Receive blocks until the other side closes; tell how they begin."""
    return [event.data.start(1) for event in port]


def echo_to_task() -> None:
    """Send back all that the future posts, until it posts nothing."""
    task = current_task()
    while (data := task.receive(LIMIT).data) is not None:
        task.post_message(data)


def echo(port: MessagePort) -> int:
    """Send back all that comes, until the other side closes; tells how many it was."""
    count = 0
    for event in port:
        port.post_message(event.data)
        count += 1
    return count


def collect(port: MessagePort) -> list[Any]:
    """Receive until the other side closes."""
    return [event.data for event in port]


def pass_on(port: MessagePort, message: object) -> MessagePort:
    """Post one message, and give the port back."""
    port.post_message(message)
    return port


def take_one(port: MessagePort) -> tuple[Any, MessagePort]:
    """Receive one message, and give it back with the port."""
    return port.receive(LIMIT).data, port


def hold_and_die(port: MessagePort, messages: list[Any]) -> None:
    """Post, and be killed with the port in hand."""
    for message in messages:
        port.post_message(message)
    port.drain(LIMIT)
    os.kill(os.getpid(), signal.SIGKILL)


def write_to(file: Any, text: str) -> None:
    """Write to a file that was moved here."""
    with file:
        file.write(text)


def pid() -> int:
    """Tell which process this is."""
    return os.getpid()


def fail() -> None:
    """Keep a worker from coming up."""
    raise OSError("not today")


def overhear(port: MessagePort, name: str, count: int) -> list[Any]:
    """Say that one listens to a broadcast, and return what comes."""
    with BroadcastChannel(name) as channel:
        port.post_message("listening")
        return [channel.receive(LIMIT).data for _ in range(count)]
