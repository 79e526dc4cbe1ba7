"""
Whether what is packed goes to forked workers only, and what of the program these have inherited.

For: sending nothing but a number for what cannot be copied, or must not be, where the reader has
the thing itself.
Not for: telling what such a thing is (`mapped`, `by_value`), nor looking for them (`heritage`).
A changer must know: the table below is the program's own, and every forked worker has a copy of it
as it was then. So a number means the same on both sides if it was in the table at the fork; what
gets one later is another thing in each process.
"""

from __future__ import annotations

from _contextvars import ContextVar, copy_context
from _weakref import ref
from itertools import count

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any, TypeVar

    T = TypeVar("T")
    _Noted = dict[int, tuple[object, Any]]

__all__ = [
    "Forks",
    "after_fork",
    "forget_the_dead",
    "ident_in_host",
    "inherited",
    "inherited_ident",
    "is_packing_for_forks",
    "noted",
    "number",
    "of_this_process",
    "packing_for_forks",
    "readers",
]

_idents = count(1)
_things: dict[int, ref[Any]] = {}
_ident_at: dict[int, int] = {}
# In a forked worker: what it has got, for whatever its tasks do to where that stood.
_kept: list[object] = []


class Forks:
    """
    The forked workers of one pool.

    Attributes:
        inherited: The numbers of what the first of them has, and so all; None before there is one.
        awaited: What was packed before that by its number: it has to be there still, then.
    """

    __slots__ = ("awaited", "inherited")

    def __init__(self, inherited: frozenset[int] | None = None) -> None:
        self.inherited = inherited
        self.awaited: dict[int, object] = {}

    def begin(self) -> None:
        """Note what there is. Call it before the first fork."""
        # In one breath: other threads add to it.
        self.inherited = frozenset(_things.copy())


_NOTHING = Forks(frozenset())
_own = [_NOTHING]
# In a tuple: what a module itself has as an attribute, calls take along.
_packing: tuple[ContextVar[tuple[Forks, _Noted] | None]] = (
    ContextVar("webworker_is_for_forks", default=None),
)


def packing_for_forks(pack: Callable[..., T], *args: object, forks: Forks | None = None) -> T:
    """
    Call something that packs for forked workers only.

    In a context of its own: a signal handler that raises, at whatever line, leaves nothing behind.

    Args:
        pack: What is called.
        *args: With these.
        forks: The workers; None if it is not known what they have inherited.
    """
    context = copy_context()
    context.run(_packing[0].set, (_NOTHING if forks is None else forks, {}))
    return context.run(pack, *args)


def is_packing_for_forks() -> bool:
    """Whether this is called from there."""
    return _packing[0].get() is not None


def readers() -> Forks | None:
    """Return the forked workers that are packed for, or None where it may be any."""
    packing = _packing[0].get()
    return None if packing is None else packing[0]


def noted() -> _Noted:
    """
    Give what is to be packed by what, by address, wherever a global of a function has it inside.

    Filled while globals are compared, for whoever packs them after that.
    """
    packing = _packing[0].get()
    return {} if packing is None else packing[1]


def number(thing: object) -> int:
    """
    Give a thing its number, for as long as it is there.

    Args:
        thing: What can be referred to weakly.
    """
    known = _ident_of(thing)
    if known is None:
        known = next(_idents)
        _things[known] = ref(thing)
        _ident_at[id(thing)] = known
    return known


def _ident_of(thing: object) -> int | None:
    known = _ident_at.get(id(thing))
    found = None if known is None else _things.get(known)
    # Another one may have been there before.
    return known if found is not None and found() is thing else None


def inherited_ident(thing: object) -> int | None:
    """
    Give the number of a thing that every reader of what is being packed has inherited, or None.
    """
    packing = _packing[0].get()
    if packing is None:
        return None
    forks = packing[0]
    if forks.inherited is None:
        ident = number(thing)
        forks.awaited[ident] = thing
        # The fork may have come between.
        if forks.inherited is None:
            return ident
    known = _ident_of(thing)
    return known if known in forks.inherited else None


def ident_in_host(thing: object) -> int | None:
    """
    Give the number of a thing that this forked worker has from its host, or None.
    """
    known = _ident_of(thing)
    return known if known in (_own[0].inherited or ()) else None


def inherited(ident: int) -> Any:
    """
    Give the thing that has a number.

    Raises:
        LookupError: It was gone before this worker was forked, or is gone in the host.
    """
    found = _things.get(ident)
    thing = None if found is None else found()
    if thing is None:
        raise LookupError(
            "Something that is not copied, such as shared memory, was gone before this worker was "
            "forked. Keep it for as long as tasks need it."
        )
    return thing


def of_this_process() -> Forks:
    """Return what this process itself has inherited, if it is a forked worker."""
    return _own[0]


def forget_the_dead() -> None:
    """Make room in the table."""
    for ident, found in _things.copy().items():
        if found() is None:
            _things.pop(ident, None)
    for address, ident in _ident_at.copy().items():
        if ident not in _things:
            _ident_at.pop(address, None)


def after_fork() -> None:
    """Become a forked worker, which has all that there was."""
    _own[0] = Forks(frozenset(_things))
    _kept[:] = [found() for found in _things.values()]
