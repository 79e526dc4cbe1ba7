"""
Those who follow something, which does not keep them.

Not for whoever must be kept as well. Whoever changes this must know that the last reference to one
of them may go in any thread, and in the middle of anything: there is no lock, and each step is one
call into C.
"""

from __future__ import annotations

from _weakref import ref

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import TypeVar

    T = TypeVar("T")


class Adherents(dict["int", "ref[T]"]):
    """
    By their identities, references to whoever follows. Any thread may add and remove.
    """

    __slots__ = ()

    def __bool__(self) -> bool:
        # Of one that has gone something may be left, where a signal handler has raised.
        return bool(self.living())

    def add(self, member: T, then: Callable[[], object] | None = None) -> None:
        """
        Take a member in, which leaves when nobody else keeps it.

        Args:
            member: Which.
            then: Called when it has left so.
        """
        key = id(member)

        def leave(_: object) -> None:
            self.pop(key, None)
            if then is not None:
                then()

        self[key] = ref(member, leave)

    def remove(self, member: T) -> None:
        """Let a member go; no effect if it was not taken in."""
        self.pop(id(member), None)

    def living(self) -> list[T]:
        """Return who is there, in the order in which they came."""
        members = (reference() for reference in tuple(self.values()))
        return [member for member in members if member is not None]
