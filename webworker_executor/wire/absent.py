"""
Attributes of a class of the main module that do not pickle, and what a worker's class has instead.

For: what only the program has, such as a connection that its class holds. A worker has a class of
its own, and most of its tasks never ask for that.
Not for: locks and the like, of which it has others (`stand_in`); nor for globals, which a function
takes along only if it uses them. Imported by workers that get such a class, so it imports nothing.
"""

from __future__ import annotations

import sys

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any, NoReturn

__all__ = ["Absent", "Inherited", "inherited"]


class Absent:
    """
    Stands in a worker's class for an attribute that has not come along: there is none.

    Args:
        name: The attribute's, with its class.
        kind: What does not pickle.
    """

    __slots__ = ("_kind", "_name")

    def __init__(self, name: str, kind: str) -> None:
        self._name = name
        self._kind = kind

    def __get__(self, instance: object, owner: object = None) -> NoReturn:
        raise AttributeError(
            f"{self._name} has not come to this worker, because a {self._kind} does not pickle. "
            "Make it in the worker, in an initializer; or have workers inherit it, by "
            "launcher='fork'."
        )

    def __reduce__(self) -> tuple[type[Absent], tuple[str, str]]:
        return Absent, (self._name, self._kind)


class Inherited:
    """
    Packs to the attribute that a worker finds in its memory, which was the program's.

    Args:
        cls: The class.
        name: The attribute's.
        otherwise: What a worker gets that was forked before there was such a class.
    """

    __slots__ = ("_place",)

    def __init__(self, cls: type, name: str, otherwise: object) -> None:
        self._place = (cls.__module__, cls.__qualname__, name, otherwise)

    def __reduce__(self) -> tuple[Any, ...]:
        return inherited, self._place


def inherited(module: str, path: str, name: str, otherwise: object) -> object:
    """
    Give an attribute that does not pickle, in a worker that was forked with it.

    Returns:
        The attribute as the class statement has made it; `otherwise` if there is none.
    """
    found: Any = sys.modules.get(module)
    for step in path.split("."):
        found = getattr(found, "__dict__", {}).get(step)
    attributes: dict[str, object] = getattr(found, "__dict__", {})
    return attributes.get(name, otherwise)
