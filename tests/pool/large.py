"""
Tasks on large buffers, to be imported by workers, and a value that shares its memory.
"""

from __future__ import annotations

import os
import signal
from array import array
from pickle import PickleBuffer
from typing import Any

NBYTES = 300_000
KEPT: list[object] = []


class Block:
    """
    A value over somebody's memory, as an array is.
    """

    def __init__(self, memory: Any) -> None:
        self.memory = memoryview(memory)

    def __reduce_ex__(self, protocol: Any) -> Any:
        return Block, (PickleBuffer(self.memory),)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Block) and self.memory == other.memory

    __hash__ = None  # type: ignore[assignment]  # it changes


def block(filling: int, nbytes: int = NBYTES) -> Block:
    """Make a block of one byte repeated."""
    return Block(array("B", bytes([filling])) * nbytes)


def same(value: Any) -> Any:
    """Return the value."""
    return value


def sum_of_more(value: Any) -> Any:
    """Add to an array, in place, and return what it sums up to."""
    array = value[0] if isinstance(value, list) else value
    array += 1
    return array.sum()


def over_bytes(data: bytes, times: int = 0) -> Any:
    """Return an array over bytes, which nobody can write to; or several."""
    import numpy

    array: Any = numpy.frombuffer(data)
    return [numpy.frombuffer(data) for _ in range(times)] if times else array


def fill(blocks: Any, filling: int) -> bytes:
    """Write into blocks; return what was in the first place of each, and is there now."""
    before = bytes(b.memory[0] for b in blocks)
    for b in blocks:
        b.memory[:] = bytes([filling]) * b.memory.nbytes
    return before + bytes(b.memory[-1] for b in blocks)


def is_filled(value: Block, filling: int) -> bool:
    """Whether a block consists of one byte."""
    return bool(value.memory == bytes([filling]) * value.memory.nbytes)


def keep(value: object) -> int:
    """Keep a value in this worker."""
    KEPT.append(value)
    return len(KEPT)


def let_go() -> None:
    """Keep nothing any more."""
    KEPT.clear()


def let_go_when_told(port: Any) -> None:
    """Keep nothing any more from the first message on."""
    port.onmessage = lambda event: let_go()


def fillings() -> list[int]:
    """Return the first byte of each block that is kept."""
    return [kept.memory[0] for kept in KEPT if isinstance(kept, Block)]


def mappings() -> int:
    """Count the segments that this process has mapped, its own and others'."""
    with open("/proc/self/maps") as file:
        return sum("memfd:webworker" in line for line in file)


def write_in_fork(value: Block) -> tuple[int, int]:
    """Fork, write into the value in both copies, and return what each of them saw at last."""
    ours, theirs = os.pipe()
    pid = os.fork()
    if pid == 0:
        try:
            value.memory[0] = 7
            os.write(theirs, bytes([value.memory[0], value.memory[1]]))
        finally:
            os._exit(0)
    value.memory[1] = 8
    os.waitpid(pid, 0)
    seen = os.read(ours, 2)
    os.close(ours)
    os.close(theirs)
    return value.memory[0] * 256 + value.memory[1], seen[0] * 256 + seen[1]


def state() -> tuple[int, int]:
    """Return how many descriptors and mappings this process has."""
    return len(os.listdir("/proc/self/fd")), mappings()


def die_with(value: Block) -> None:
    """Die with a value in hand."""
    os.kill(os.getpid(), signal.SIGKILL)
    signal.pause()
    del value


def touch(value: Block, index: int) -> int:
    """Return the first byte, which was written over, if anybody sees another's writes."""
    seen = value.memory[0]
    value.memory[0] = 1 + index % 250
    return int(seen)


class Toucher:
    """
    A callable with a state of its own.
    """

    def __init__(self, value: Block) -> None:
        self.value = value
        self.n_calls = 0

    def __call__(self, index: int) -> tuple[int, int]:
        self.n_calls += 1
        return touch(self.value, index), self.n_calls


def touch_or_die(value: Block, index: int) -> int:
    """Return the first byte; at the twentieth, die."""
    if index == 20:
        os.kill(os.getpid(), signal.SIGKILL)
        signal.pause()
    return touch(value, index)
