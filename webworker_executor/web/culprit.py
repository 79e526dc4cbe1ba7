"""
Which part of a message, a task or an option stood in the way, and how the error says so.

Not for the common case: imported only when something could not be packed. A message has an error of
its own kind; what the standard library's pool packs, too, keeps the error that it has there, and
gets a note.
"""

from __future__ import annotations

import functools
import itertools
import os
import pickle
from collections import deque
from contextlib import suppress
from types import (
    AsyncGeneratorType,
    CoroutineType,
    FunctionType,
    GeneratorType,
    MemberDescriptorType,
    MethodType,
)
from typing import TYPE_CHECKING

from webworker_executor.errors import DataCloneError
from webworker_executor.web.request_ident import RequestIdent
from webworker_executor.wire import codec
from webworker_executor.wire.departure import global_names
from webworker_executor.wire.shown import cut, shown
from webworker_executor.wire.transfer import Trial, on_trial

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping
    from types import FrameType
    from typing import Any

# More attempts than this to pack a part would keep the sender waiting for a mere message.
MAX_ATTEMPTS = 1000
MAX_DEPTH = 50
ATOMS = frozenset({int, float, bool, str, bytes, complex, type(None)})
# An error that was raised in one of these is the pickler's; any other is of a user's own hook.
_PICKLERS = {"pickle.py", "copyreg.py", "cloudpickle.py", "cloudpickle_fast.py", "reduction.py"}
_OF_PICKLERS = (pickle.PicklingError, TypeError, AttributeError, ValueError, RecursionError)
ADVICE = "Leave it out, or give it a __reduce__ that says how it is made anew"
# For types that nobody can give one.
_ADVICE_OF_C = "It belongs to its process: leave it out, and make it where it is used"
_ADVICE_OF_STREAMS = "Call executor.stream() instead, which brings what a generator yields"
_ADVICE = {
    GeneratorType: "It stays in its process: send its function, or a list of its items",
    AsyncGeneratorType: "It stays in its process: send its function, or a list of its items",
    CoroutineType: "It stays in its process: send its function, or what it returns",
}
_IMMUTABLE = 1 << 8  # Py_TPFLAGS_IMMUTABLETYPE
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
    parts = _parts_of_message(message)
    part = _refused_by_name(exc)
    if part is not None and (path := _path_among(parts, part)):
        return DataCloneError(f"{path} cannot be sent: {exc}", part)
    if isinstance(exc, DataCloneError) or not _is_a_picklers(exc):
        return exc
    path, advice = _search(exc, parts, pack_for_message)
    return DataCloneError(f"{path or 'message'} cannot be sent: {exc}. {advice}")


def _parts_of_message(message: Any) -> dict[str, object]:
    """Return what a message consists of, each by the name that its user knows it by."""
    # That of a proxy's call: its user has posted none.
    if message.__class__ is tuple and len(message) == 5 and message[0].__class__ is RequestIdent:
        return {"args": message[3], "kwargs": message[4]}
    return {"message": message}


def pack_for_message(part: object) -> object:
    """Try to pack a part as that of a message, in which anything may be transferred."""
    return codec.pack_by_value(part, parcel=Trial)


def pack_for_task(part: object) -> object:
    """Try to pack a part as that of an argument or a result."""
    return codec.pack_by_value(part, parcel=on_trial)


def point_out(
    exc: BaseException,
    parts: Mapping[str, object],
    pack: Callable[[object], object] = pack_for_task,
) -> None:
    """
    Add a note to what packing has raised: which part it is.

    Args:
        exc: The error. It keeps its class and its message. One that a user's own hook has raised
            gets a note only if there is a single part that it can be of.
        parts: What was packed, each by the name that its user knows it by.
        pack: How a part is tried.
    """
    try:
        path, advice = _culprit(exc, parts, pack)
        if path:
            # What a hook has raised, ours or a user's own, says by itself what to do.
            is_named = isinstance(exc, DataCloneError) or not advice
            exc.add_note(f"{path} cannot be sent" + ("" if is_named else f". {advice}"))
    except Exception:
        # A user's own __repr__ or __getattr__, on the way to the part. What packing raised counts.
        return


def find_culprit(
    exc: BaseException,
    parts: Mapping[str, object],
    pack: Callable[[object], object] = pack_for_task,
) -> str:
    """Return the path of the part that could not be packed; takes what ``point_out`` takes."""
    return _culprit(exc, parts, pack)[0]


def _culprit(
    exc: BaseException, parts: Mapping[str, object], pack: Callable[[object], object]
) -> tuple[str, str]:
    """Return the path of the part, and what to do where the error does not say that itself."""
    found = advice = ""
    part = _refused_by_name(exc)
    if part is not None:
        found = _path_among(parts, part)
    elif _is_a_picklers(exc):
        found, advice = _search(exc, parts, pack)
    return found or (next(iter(parts)) if len(parts) == 1 else ""), advice


def _path_among(parts: Mapping[str, object], part: object) -> str:
    paths = (path_to(value, part, name) for name, value in parts.items())
    return next(filter(None, paths), "")


def _search(
    exc: BaseException, parts: Mapping[str, object], pack: Callable[[object], object]
) -> tuple[str, str]:
    """Try parts; return the path of the smallest one that cannot be packed, and what to do."""
    search = _Search(pack)
    for name, value in parts.items():
        if len(parts) == 1 or search.fails(value):
            path, culprit = search.path_from(name, value)
            return path, _advice_on(path, culprit, exc)
    return "", ADVICE


def _advice_on(path: str, part: object, exc: BaseException) -> str:
    kind = type(part)
    if path == "result" and kind in (GeneratorType, AsyncGeneratorType):
        return _ADVICE_OF_STREAMS
    # Not of a list, say, that is nested too deeply.
    is_of_c = kind.__flags__ & _IMMUTABLE and kind.__name__ in str(exc)
    return _ADVICE.get(kind) or (_ADVICE_OF_C if is_of_c else ADVICE)


def _refused_by_name(exc: BaseException) -> object:
    """Return the object that an error is about, if it says by itself what to do instead."""
    if isinstance(exc, DataCloneError):
        return exc.part
    frame = _innermost(exc)
    if frame is None or frame.f_code.co_name != "__reduce__":
        return None
    # Of one of ours, such as an executor. What a user's own hook raises is not looked into.
    is_ours = frame.f_code.co_filename.startswith(_PACKAGE)
    return frame.f_locals.get("self") if is_ours else None


def _is_a_picklers(exc: BaseException) -> bool:
    if not isinstance(exc, _OF_PICKLERS):
        return False
    frame = _innermost(exc)
    if frame is None:
        return True
    filename = frame.f_code.co_filename
    return filename.startswith(_PACKAGE) or os.path.basename(filename) in _PICKLERS


def _innermost(exc: BaseException) -> FrameType | None:
    trace = exc.__traceback__
    if trace is None:
        return None
    while trace.tb_next is not None:
        trace = trace.tb_next
    return trace.tb_frame


def path_to(message: object, part: object, name: str = "message") -> str:
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

    return search(name, message, 0)


class _Search:
    def __init__(self, pack: Callable[[object], object]) -> None:
        self._pack = pack
        self._n_attempts = 0
        self._seen: set[int] = set()

    def path_from(self, path: str, value: object, depth: int = 0) -> tuple[str, object]:
        """Return the smallest part of a value that cannot be packed, its path first."""
        if depth < MAX_DEPTH:
            for step, part in _parts_of(value):
                if self.fails(part):
                    return self.path_from(path + step, part, depth + 1)
        return path, value

    def fails(self, part: object) -> bool:
        """Whether a part cannot be packed; False for what was tried before."""
        if id(part) in self._seen or self._n_attempts == MAX_ATTEMPTS:
            return False
        self._seen.add(id(part))
        self._n_attempts += 1
        try:
            self._pack(part)
        except Exception:
            return True
        return False


def _parts_of(value: Any) -> Iterator[tuple[str, Any]]:
    """Give the parts of a value that are no atoms, each with its step of the path."""
    kind = type(value)
    steps: Any
    if kind is FunctionType:
        steps = _variables_of(value)
    elif kind is MethodType:
        steps = ((".__self__", value.__self__),)
    elif issubclass(kind, functools.partial):
        steps = ((f".{name}", getattr(value, name)) for name in ("func", "args", "keywords"))
    else:
        steps = itertools.chain(_items_of(value), _attributes_of(value))
    for step, part in steps:
        if type(part) not in ATOMS:
            yield step, part


def _items_of(value: Any) -> Iterator[tuple[str, Any]]:
    if isinstance(value, dict):
        for key, part in tuple(dict.items(value)):
            if type(key) not in ATOMS:
                yield f".key({shown(key, 30)})", key
            yield f"[{_quoted(key)}]", part
    elif isinstance(value, (list, tuple, deque)):
        for index, part in enumerate(tuple(value)):
            yield f"[{index}]", part
    elif isinstance(value, (set, frozenset)):
        for part in tuple(value):
            yield f".item({shown(part, 30)})", part
    elif isinstance(value, BaseException):
        for index, part in enumerate(value.args):
            yield f".args[{index}]", part


def _attributes_of(value: Any) -> Iterator[tuple[str, Any]]:
    kind = type(value)
    if kind.__module__ == "builtins" and not isinstance(value, BaseException):
        # Of a class or a module the attributes are not what is packed.
        return
    attributes = getattr(value, "__dict__", None)
    if isinstance(attributes, dict):
        for name, part in tuple(attributes.items()):
            yield f".{name}", part
    for base in kind.__mro__:
        for name, slot in tuple(vars(base).items()) if "__slots__" in vars(base) else ():
            if isinstance(slot, MemberDescriptorType):
                with suppress(AttributeError):
                    yield f".{name}", slot.__get__(value)


def _variables_of(fn: FunctionType) -> Iterator[tuple[str, Any]]:
    """Give what goes along with a function that goes by value."""
    for name, cell in zip(fn.__code__.co_freevars, fn.__closure__ or (), strict=True):
        with suppress(ValueError):
            yield f'.__closure__["{name}"]', cell.cell_contents
    for name in global_names(fn.__code__):
        if name in fn.__globals__:
            yield f'.__globals__["{name}"]', fn.__globals__[name]
    for index, part in enumerate(fn.__defaults__ or ()):
        yield f".__defaults__[{index}]", part
    for name, part in (fn.__kwdefaults__ or {}).items():
        yield f'.__kwdefaults__["{name}"]', part


def _quoted(key: object) -> str:
    if isinstance(key, str) and key.isprintable() and '"' not in key:
        return f'"{cut(key, 30)}"'
    return shown(key, 30)
