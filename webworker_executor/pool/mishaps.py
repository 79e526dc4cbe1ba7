"""
Mishaps: what is raised while something is unpacked, and whose it is.

Whose an exception is cannot be told from it: what is unpacked may raise whatever a signal handler
may. But it does so each time.
"""

from __future__ import annotations

import threading

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import TypeVar

    T = TypeVar("T")

# Two that agree are enough, also where a signal handler has struck in between.
_N_ROUNDS = 5


def unpack_alike(
    unpack: Callable[[Callable[[BaseException], object]], T], mishaps: list[BaseException]
) -> T:
    """
    Unpack until nothing is raised on the way, or nothing but what was the last time, too.

    Args:
        unpack: Called with what is to be told each mishap; raises none itself.
        mishaps: What was raised the last time, if that was done. It is empty afterwards.

    Returns:
        What was unpacked at last. Whatever was raised, also before, was its own.

    Raises:
        BaseException: What a signal handler has raised meanwhile, or before; it can be unpacked
            again.
    """
    try:
        made, own = _repeat(unpack, mishaps)
        mishaps[:] = filter(lambda error: type(error) not in own, mishaps)
        if mishaps:
            raise mishaps[0]
        return made
    finally:
        # They refer to this frame, which must not refer to them.
        mishaps.clear()


def _repeat(
    unpack: Callable[[Callable[[BaseException], object]], T], mishaps: list[BaseException]
) -> tuple[T, set[type[BaseException]]]:
    kinds = set(map(type, mishaps))
    for _ in range(_N_ROUNDS):
        n_before, before = len(mishaps), kinds
        made = unpack(mishaps.append)
        kinds = set(map(type, mishaps[n_before:]))
        if kinds in (set(), before) or not is_main_thread():
            break
    return made, kinds


def is_main_thread() -> bool:
    """Whether the caller runs where signal handlers do."""
    return threading.current_thread() is threading.main_thread()
