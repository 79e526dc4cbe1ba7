"""
The functions that workers are given in benchmarks: each does as little as its benchmark allows.

They stand in a module of their own, because the standard library's workers must import them.
"""

from __future__ import annotations

from typing import Any


def nothing() -> None:
    """
    Do nothing: what remains is the way there and back.
    """


def add(left: int, right: int) -> int:
    """
    Do the least that has arguments and a result.
    """
    return left + right


def increment(number: int) -> int:
    """
    Do the least that ``map`` can be given.
    """
    return number + 1


def touch(payload: Any) -> int:
    """
    Look at the first and the last byte, so that the payload must have arrived.
    """
    view = memoryview(payload).cast("B")
    return view[0] + view[-1]


def same(payload: Any) -> Any:
    """
    Send the payload back.
    """
    return payload


def fail(depth: int) -> None:
    """
    Raise an exception from under some frames.
    """
    if depth:
        fail(depth - 1)
    raise ValueError("as asked")
