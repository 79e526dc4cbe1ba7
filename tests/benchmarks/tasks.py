"""
The functions that workers are given in benchmarks: each does as little as its benchmark allows.

They stand in a module of their own, because the standard library's workers must import them. It
imports nothing, not even ``typing``: a worker's memory is measured after it has imported this.
"""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

_PAGE_NBYTES = 4096
_given: dict[int, Any] = {}


def nothing() -> None:
    """Do nothing: what remains is the way there and back."""


def add(left: int, right: int) -> int:
    """Do the least that has arguments and a result."""
    return left + right


def increment(number: int) -> int:
    """Do the least that ``map`` can be given."""
    return number + 1


def nap(seconds: float) -> None:
    """Occupy the worker, but no processor."""
    import time

    time.sleep(seconds)  # a task of known length is what is measured


def spin(seconds: float) -> None:
    """Use up so much time of a processor, however long that takes on a busy machine."""
    import time

    end = time.thread_time() + seconds
    while time.thread_time() < end:
        pass


def touch(payload: Any) -> int:
    """Look at the first and the last byte, so that the payload must have arrived."""
    view = memoryview(payload).cast("B")
    return view[0] + view[-1]


def same(payload: Any) -> Any:
    """Send the payload back."""
    return payload


def give(nbytes: int) -> bytes:
    """Return bytes, always the same object, so that their making is not measured."""
    if nbytes not in _given:
        _given[nbytes] = bytes(nbytes)
    given: bytes = _given[nbytes]
    return given


def touch_pages(array: Any) -> int:
    """Look at every page of an array, so that all of it must have arrived."""
    return int(array[::_PAGE_NBYTES].sum())


def give_array(nbytes: int) -> Any:
    """Return an array, always the same object, so that its making is not measured."""
    import numpy

    if nbytes not in _given:
        _given[nbytes] = numpy.ones(nbytes, numpy.uint8)
    return _given[nbytes]


def send_back(array: Any) -> Any:
    """Look at every page of an array, and send it back."""
    touch_pages(array)
    return array


def pick(array: Any, index: int) -> int:
    """Read one element: with ``functools.partial``, a closure over an array."""
    return int(array[index])


def fail(depth: int) -> None:
    """Raise an exception from under some frames."""
    if depth:
        fail(depth - 1)
    raise ValueError("as asked")


def fail_twice(depth: int) -> None:
    """Raise an exception from under some frames, with another one as its cause."""
    try:
        fail(depth)
    except ValueError as error:
        raise KeyError("as asked too") from error


def memory_of_worker() -> int:
    """Return the bytes of memory that the worker occupies, pages shared with others included."""
    with open("/proc/self/statm") as stream:
        return int(stream.read().split()[1]) * _PAGE_NBYTES
