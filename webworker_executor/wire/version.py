"""
Tell whether the content of a global variable has changed since it was last sent.

For: `by_value`, whose functions share their globals in the worker; only what the host has changed
replaces what the worker has.
Not for: telling two values apart across processes. A version means something to the process that
gave it.
A changer must know: the bytes are hashed, never read, so what stands for a class or function need
not be unpickled.
"""

from __future__ import annotations

from _pickle import Pickler
from io import BytesIO
from types import FunctionType, ModuleType

from webworker_executor.wire import forks, origin
from webworker_executor.wire.mapped import view_of
from webworker_executor.wire.struck import is_a_handlers

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

__all__ = ["version", "weigh"]


class _VersionPickler(Pickler):
    """
    Pickles a value so that equal bytes mean "unchanged since": functions, classes and modules count
    by identity.
    """

    # Where functions and classes are noted that it meets, if anybody wants them.
    code: list[Any] | None = None

    def reducer_override(self, obj: Any) -> Any:
        reduced = by_identity(obj)
        if reduced is not NotImplemented and self.code is not None and id(obj) not in forks.noted():
            self.code.append(obj)
        return reduced


def by_identity(obj: Any) -> Any:
    """
    Reduce what counts by identity to something that tells it.
    """
    view = view_of(obj) if forks.is_packing_for_forks() else None
    if view is not None:
        # What is written there is no change that the other side would have to hear of.
        forks.noted()[id(obj)] = obj, view
        return view.__reduce__()
    # Any builtin function would do, but no class: that would be reduced in its turn.
    if isinstance(obj, FunctionType | type):
        return repr, (origin.serial(obj),)
    if type(obj) is ModuleType:
        return repr, (obj.__name__,)
    return NotImplemented


def version(value: object) -> object:
    """
    Give something that is equal for a value as long as its content is the same.

    Args:
        value: The value of a global variable.

    Returns:
        A number; None for what does not pickle.
    """
    return weigh(value)[0]


def weigh(value: object, code: list[Any] | None = None) -> tuple[object, int]:
    """
    Give the version of a value, and how many bytes were hashed for it.

    Args:
        value: The value of a global variable.
        code: Where to note the functions, classes and modules in it, which count by identity.

    Returns:
        The version; and the bytes, 0 for what does not pickle.
    """
    token, nbytes = _hash(_VersionPickler, value, code)
    if token is not None:
        return token, nbytes
    # What plain pickle cannot do, and only that: the answers of the two are never compared.
    from webworker_executor.wire.by_value import IdentityPickler

    # For what does not pickle: the pickler proper will meet the same object and raise the error in
    # its own words.
    return _hash(IdentityPickler, value, code)


def _hash(kind: Any, value: object, code: list[Any] | None) -> tuple[int | None, int]:
    with BytesIO() as file:
        pickler = kind(file, protocol=5)
        pickler.code = code
        try:
            pickler.dump(value)
        except Exception as error:
            if is_a_handlers(error):
                raise
            return None, 0
        return hash(file.getvalue()), file.tell()
