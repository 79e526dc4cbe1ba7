"""
What errors call a task: by what a user gave, not by what the pool calls in its place.

A worker imports this with what it calls, so it imports nothing.
"""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any, TypeVar

    Fn = TypeVar("Fn", bound=Callable[..., Any])

# By address: a callable's own __hash__ and __eq__ are a user's code.
_given_at: dict[int, int] = {}
_of_chunks: set[int] = set()


def standing_for(at: int, *, is_of_chunks: bool = False) -> Callable[[Fn], Fn]:
    """
    Mark what the pool calls in the place of its argument ``at``: a callable, or a title.

    Args:
        at: Where that is.
        is_of_chunks: Whether its last argument is a chunk of calls.
    """

    def mark(fn: Fn) -> Fn:
        _given_at[id(fn)] = at
        if is_of_chunks:
            _of_chunks.add(id(fn))
        return fn

    return mark


def stands_for_another(fn: Any) -> bool:
    """Whether a callable is the pool's, and has what a user gave among its arguments."""
    return id(fn) in _given_at


def title_of(fn: Any, args: tuple[Any, ...]) -> str:
    """Return what errors call a call."""
    at = _given_at.get(id(fn))
    given = fn if at is None else args[at]
    return given if given.__class__ is str else name_of(given)


def n_calls_of(fn: Any, args: tuple[Any, ...]) -> int:
    """Return how many calls of what a user gave a call makes: that of a chunk makes several."""
    return len(args[-1]) if id(fn) in _of_chunks else 1


def name_of(fn: Any) -> str:
    """Return what errors call a callable: ``module.qualname`` where it has them."""
    try:
        return f"{fn.__module__}.{fn.__qualname__}"
    except Exception:  # a callable may have neither, or answer with an error of its own
        return type(fn).__name__
