"""
Which part of a message stood in the way, and how the error says so.

Not for the common case: imported only when a message could not be packed.
"""

from __future__ import annotations

import os
import pickle
import sys
from typing import TYPE_CHECKING

from webworker_executor.errors import DataCloneError
from webworker_executor.wire import codec
from webworker_executor.wire.transfer import Trial

if TYPE_CHECKING:
    from collections.abc import Iterator
    from types import TracebackType
    from typing import Any

# More attempts than this to pack a part would keep the sender waiting for a mere message.
MAX_ATTEMPTS = 1000
MAX_DEPTH = 50
ATOMS = frozenset({int, float, bool, str, bytes, complex, type(None)})
# An error that was raised in one of these is the pickler's; any other is of a user's own hook.
_PICKLERS = {"pickle.py", "copyreg.py", "cloudpickle.py", "cloudpickle_fast.py", "reduction.py"}
_PACKAGE = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))


def clone_error(message: object, exc: Exception) -> Exception:
    """
    Say why a message cannot be sent.

    Args:
        message: The message.
        exc: What packing it has raised.

    Returns:
        A ``DataCloneError`` that names the part; or ``exc`` itself, if a user's code raised it.
    """
    if isinstance(exc, DataCloneError):
        path = path_to(message, exc.part) if exc.part is not None else ""
        return DataCloneError(f"{path} cannot be sent: {exc}", exc.part) if path else exc
    if not isinstance(
        exc, (pickle.PicklingError, TypeError, AttributeError, ValueError, RecursionError)
    ) or not _is_of_a_pickler(exc.__traceback__):
        return exc
    path = _Search().path_from("message", message)
    return DataCloneError(
        f"{path} cannot be sent: {exc}. Leave it out, or give it a __reduce__ that says how it is "
        "made anew"
    )


def _is_of_a_pickler(trace: TracebackType | None) -> bool:
    if trace is None:
        return True
    while trace.tb_next is not None:
        trace = trace.tb_next
    filename = trace.tb_frame.f_code.co_filename
    return filename.startswith(_PACKAGE) or os.path.basename(filename) in _PICKLERS


def path_to(message: object, part: object) -> str:
    """Return where in a message an object is, such as ``message["a"][2]``; ``""`` if nowhere."""
    seen: set[int] = set()

    def search(path: str, value: object, depth: int) -> str:
        if value is part:
            return path
        if depth == MAX_DEPTH or id(value) in seen or len(seen) > MAX_ATTEMPTS:
            return ""
        seen.add(id(value))
        for step, item in _parts_of(value):
            if found := search(path + step, item, depth + 1):
                return found
        return ""

    return search("message", message, 0)


class _Search:
    def __init__(self) -> None:
        self._n_attempts = 0
        self._seen: set[int] = set()

    def path_from(self, path: str, value: object, depth: int = 0) -> str:
        """Return the path of the smallest part of a value that cannot be packed."""
        if depth < MAX_DEPTH:
            for step, part in _parts_of(value):
                if self._fails(part):
                    return self.path_from(path + step, part, depth + 1)
        return path

    def _fails(self, part: object) -> bool:
        if id(part) in self._seen or self._n_attempts == MAX_ATTEMPTS:
            return False
        self._seen.add(id(part))
        self._n_attempts += 1
        try:
            codec.pack_by_value(part, parcel=Trial)
        except Exception:
            return True
        return False


def _parts_of(value: Any) -> Iterator[tuple[str, Any]]:
    """Give the parts of a value that are no atoms, each with its step of the path."""
    kind = type(value)
    steps: Any
    if issubclass(kind, dict):
        for key, part in tuple(dict.items(value)):
            if type(key) not in ATOMS:
                yield f".key({key!r:.30})", key
            if type(part) not in ATOMS:
                yield f"[{_quoted(key)}]", part
        steps = ()
    elif issubclass(kind, (list, tuple)):
        steps = ((f"[{index}]", part) for index, part in enumerate(tuple(value)))
    elif issubclass(kind, (set, frozenset)):
        steps = ((f".item({part!r:.30})", part) for part in tuple(value))
    elif sys.getsizeof(kind) and isinstance(getattr(value, "__dict__", None), dict):
        # Of a function, a class or a module the attributes are not what is packed.
        is_data = kind.__module__ != "builtins"
        steps = ((f".{name}", part) for name, part in tuple(vars(value).items()) if is_data)
    else:
        steps = ()
    for step, part in steps:
        if type(part) not in ATOMS:
            yield step, part


def _quoted(key: object) -> str:
    if isinstance(key, str) and key.isprintable() and '"' not in key:
        return f'"{key:.30}"'
    return f"{key!r:.30}"
