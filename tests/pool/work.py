"""
Calls that workers import by name. A module of its own, so that a worker loads little.
"""

from __future__ import annotations

import asyncio
import itertools
import os
import threading
from typing import TYPE_CHECKING, Any, NoReturn

from tests.dropin.gate import pass_gate
from webworker_executor import FileDescriptor, current_task, scope

if TYPE_CHECKING:
    from collections.abc import Sequence

    from webworker_executor import MessageEvent

KEPT: list[object] = []


def add(left: int, right: int) -> int:
    """Return the sum."""
    return left + right


def double(number: int) -> int:
    """Return the number twice."""
    return 2 * number


def first_item(values: Sequence[int]) -> int:
    """Return the first of them."""
    return values[0]


def fail_at(bad: int, number: int) -> int:
    """Return the number, or raise ValueError for a bad one."""
    if number == bad:
        raise ValueError(f"bad {number}")
    return number


def keep(*values: object) -> None:
    """Keep values in this worker; an initializer."""
    KEPT.extend(values)


def kept() -> list[object]:
    """Return what this worker keeps."""
    return KEPT


def refuse(reason: str) -> NoReturn:
    """Fail; an initializer."""
    raise ValueError(reason)


def put_into(queue: object) -> None:
    """Put this worker's pid into a queue; an initializer."""
    queue.put(os.getpid())  # type: ignore[attr-defined]  # one of multiprocessing's


def environment(name: str) -> str | None:
    """Return a variable of the environment."""
    return os.environ.get(name)


def is_writeable_data() -> bool:
    """Whether the array that is the worker's data can be changed."""
    return bool(scope.worker_data.flags.writeable)


def surroundings() -> tuple[bool, int | None, str, object]:
    """Return what the scope says of this worker."""
    return scope.is_worker, scope.index, scope.name, scope.worker_data


def answer_messages() -> None:
    """Send each message back, twice as large."""

    def answer(event: MessageEvent) -> None:
        scope.post_message([event.data, event.data])

    scope.onmessage = answer


def post(*messages: object) -> None:
    """Send messages to the host."""
    for message in messages:
        scope.post_message(message)


class Unpackable:
    """An object that cannot be packed."""

    def __reduce__(self) -> NoReturn:
        raise ValueError("not to be packed")


class Unopenable:
    """An object that packs and does not unpack."""

    def __reduce__(self) -> tuple[object, ...]:
        return int, ("no number",)


def make_unopenable() -> Unopenable:
    """Return a value whose copy cannot be made."""
    return Unopenable()


def fail_at_multiples(number: int) -> int:
    """
    Return the number, unless it is a multiple of a thousand.
    """
    if number % 1000 == 0:
        raise ValueError(f"at {number}")
    return number


def lock_at_multiples(number: int) -> object:
    """
    Return the number, or at a multiple of a hundred what does not pickle.
    """
    return threading.Lock() if number % 100 == 0 else number


def pipe_or_lock(number: int) -> Any:
    """Return the end of a pipe from which a number can be read; of 70, a lock."""
    if number == 70:
        return threading.Lock()
    reading, writing = os.pipe()
    os.write(writing, str(number).encode())
    os.close(writing)
    return FileDescriptor(reading)


def exit_at(_: bytearray, number: int) -> int:
    """End the worker at the seventh number."""
    if number == 7:
        os._exit(1)
    return number


def wait_at(path: str, where: int, number: int) -> int:
    """Return a number; one of them when a gate is opened."""
    return pass_gate(path, number) if number == where else number


def is_first(path: str) -> bool:
    """Tell whether nobody has asked this for a path before."""
    try:
        os.close(os.open(path, os.O_CREAT | os.O_EXCL))
    except FileExistsError:
        return False
    return True


async def sleep_first(path: str) -> str:
    """Sleep for a minute, but for the second time not at all."""
    await asyncio.sleep(60.0 if is_first(path) else 0.0)
    return "second"


def wait_first(path: str) -> str:
    """Wait for a message, but not the second time; with an eye on the task's signal."""
    task = current_task()
    assert not task.signal.aborted
    if is_first(path):
        task.receive()
    assert not task.signal.aborted
    return "second"


def pid_of(_: object) -> int:
    """
    Tell which process runs this.
    """
    return os.getpid()


def note(what: object) -> list[object]:
    """Add something to what this worker has noted, and return all of it."""
    KEPT.append(what)
    return KEPT


def spin() -> int:
    """
    Stay in C for ever, with the interpreter's lock in hand.
    """
    return sum(itertools.repeat(0))


def grow(nbytes: int) -> int:
    """Keep so many bytes more in this worker, and return its pid."""
    KEPT.append(bytearray(b"x") * nbytes)
    return os.getpid()


def hold(nbytes: int) -> int:
    """Have so many bytes for a moment, and return this worker's pid."""
    return len(bytearray(b"x") * nbytes) and os.getpid()


def hold_many(nbytes: int) -> int:
    """Have so many bytes in small pieces, none of which is given up before the task fails."""
    pieces = [bytes(1000) for _ in range(nbytes // 1000)]
    return len(pieces)


def make_lock(key: object) -> object:
    """
    Return something with a lock in it, which stays where it is.
    """
    import threading

    return {key: threading.Lock()} if isinstance(key, str) else [threading.Lock()]
