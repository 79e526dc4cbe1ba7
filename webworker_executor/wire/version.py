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

from io import BytesIO
from types import FunctionType
from typing import Any

import cloudpickle

from webworker_executor.wire import origin

__all__ = ["version"]


class _VersionPickler(cloudpickle.Pickler):  # type: ignore[misc]  # untyped base
    """
    Pickles a value so that equal bytes mean "unchanged since": functions and classes count by
    identity.
    """

    def reducer_override(self, obj: Any) -> Any:
        if isinstance(obj, FunctionType | type):
            # Any builtin function would do, but no class: that would be reduced in its turn.
            return repr, (origin.serial(obj),)
        return NotImplemented


def version(value: object) -> object:
    """
    Give something that is equal for a value as long as its content is the same.

    Args:
        value: The value of a global variable.

    Returns:
        A number; a new one each time for what does not pickle.
    """
    with BytesIO() as file:
        try:
            _VersionPickler(file, protocol=5).dump(value)
        except Exception:
            # The pickler proper will meet the same object and raise the error in its own words.
            return None
        return hash(file.getvalue())
