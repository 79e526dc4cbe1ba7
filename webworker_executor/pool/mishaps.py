"""
Mishaps: what is raised while something is packed or unpacked, and whose it is.

Whose an exception is cannot be told from its class: what is unpacked may raise whatever a signal
handler may. But it does so each time. To pack again would run a user's hooks on objects that go on
to change, and may take as long again; there the frames tell, which are the program's own.
"""

from __future__ import annotations

from webworker_executor.link.thread import is_main_thread
from webworker_executor.wire.struck import frames_of, is_a_handlers

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import TypeVar

    T = TypeVar("T")

# Two that agree are enough, also where a signal handler has struck in between.
_N_ROUNDS = 5

# Whose frames are no hook's.
_PACKERS = frozenset({__name__.partition(".")[0], "cloudpickle", "pickle", "copyreg"})


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


def is_the_programs(error: BaseException) -> bool:
    """
    Whether what was raised while something was packed is no failure of the packing.

    It is what a signal handler has raised: ``sys.exit()``, say, or that it has taken too long. And
    it is what ends a thread from outside, as libraries do that switch between tasks of their own:
    such an error is no ``Exception`` and comes from nowhere. A user's own hook may raise anything.

    Args:
        error: As caught: its traceback begins with the frame that looks.
    """
    if is_a_handlers(error):
        return True
    if isinstance(error, Exception):
        return False
    return all(
        str(frame.f_globals.get("__name__")).partition(".")[0] in _PACKERS
        for frame in frames_of(error)
    )
