"""
Whether what is packed goes to forked workers only, who have inherited what does not pickle.
"""

from __future__ import annotations

from _contextvars import ContextVar, copy_context

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import TypeVar

    T = TypeVar("T")

__all__ = ["is_packing_for_forks", "packing_for_forks"]

# In a tuple: what a module itself has as an attribute, calls take along.
_is_for_forks = (ContextVar("webworker_is_for_forks", default=False),)


def packing_for_forks(pack: Callable[..., T], *args: object) -> T:
    """
    Call something that packs for forked workers only.

    In a context of its own: a signal handler that raises, at whatever line, leaves nothing behind.
    """
    context = copy_context()
    context.run(_is_for_forks[0].set, True)
    return context.run(pack, *args)


def is_packing_for_forks() -> bool:
    """Whether this is called from there."""
    return _is_for_forks[0].get()
