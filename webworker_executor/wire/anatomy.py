"""
Read and set the state of an exception where it really lies, past whatever its class overrides.

Not for deciding what crosses (`dissect`) or what takes its place (`assemble`). A changer must know:
a class may replace `__cause__`, `args` or `__setattr__` by something that raises or exits, so
everything goes through the descriptors of the builtin class that owns it.
"""

from __future__ import annotations

import builtins
import sys
from _pickle import Pickler
from types import MemberDescriptorType, MethodDescriptorType

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from types import TracebackType
    from typing import Any

_base: Any = BaseException
_group: Any = BaseExceptionGroup

cause_of: Callable[[BaseException], BaseException | None] = _base.__cause__.__get__
context_of: Callable[[BaseException], BaseException | None] = _base.__context__.__get__
suppresses_context: Callable[[BaseException], bool] = _base.__suppress_context__.__get__
trace_of: Callable[[BaseException], TracebackType | None] = _base.__traceback__.__get__
args_of: Callable[[BaseException], tuple[object, ...]] = _base.args.__get__
dict_of: Callable[[BaseException], dict[str, object]] = _base.__dict__["__dict__"].__get__
message_of: Callable[[BaseException], str] = _group.message.__get__
members_of: Callable[[BaseException], tuple[BaseException, ...]] = _group.exceptions.__get__

set_cause: Callable[[BaseException, BaseException], None] = _base.__cause__.__set__
set_context: Callable[[BaseException, BaseException], None] = _base.__context__.__set__
set_suppress: Callable[[BaseException, bool], None] = _base.__suppress_context__.__set__
set_trace: Callable[[BaseException, TracebackType | None], None] = _base.__traceback__.__set__
set_args: Callable[[BaseException, tuple[object, ...]], None] = _base.args.__set__

# What builtin exceptions keep outside `args` and `__dict__`, and their `__reduce__` mostly forgets.
_FIELDS: dict[type, tuple[str, ...]] = {
    SystemExit: ("code",),
    StopIteration: ("value",),
    OSError: ("errno", "strerror", "filename", "filename2", "characters_written"),
    ImportError: ("msg", "name", "path", "name_from"),
    NameError: ("name",),
    AttributeError: ("name", "obj"),
    UnicodeEncodeError: ("encoding", "object", "start", "end", "reason"),
    UnicodeDecodeError: ("encoding", "object", "start", "end", "reason"),
    UnicodeTranslateError: ("object", "start", "end", "reason"),
    SyntaxError: (
        "msg",
        "filename",
        "lineno",
        "offset",
        "text",
        "end_lineno",
        "end_offset",
        "print_file_and_line",
    ),
}

# `AttributeError.obj` is whatever the typing error was made on: a table of 1 GB as easily as a
# small object.
_MAX_OBJ_NBYTES = 65536

_builtin_exceptions = [
    cls
    for cls in vars(builtins).values()
    if isinstance(cls, type) and issubclass(cls, BaseException)
]
_STOCK_REDUCERS = frozenset(cls.__reduce__ for cls in _builtin_exceptions)


def fields_of(exc: BaseException) -> Iterator[tuple[str, object]]:
    """
    Yield the fields of an exception's builtin class that are set.
    """
    owner = _field_owner(type(exc))
    for name in _FIELDS[owner] if owner else ():
        try:
            value = getattr(owner, name).__get__(exc)
        except (AttributeError, TypeError):  # never set, or a field of later Pythons only
            continue
        # Set to None by hand is not the same as never set: it spoils the text of an OSError.
        if value is not None and (name != "obj" or _is_small(value)):
            yield name, value


def set_field(exc: BaseException, name: str, value: object) -> None:
    """
    Set a field of an exception's builtin class, if it takes such a value.
    """
    try:
        getattr(_field_owner(type(exc)), name).__set__(exc, value)
    except (AttributeError, TypeError, ValueError):
        pass  # a stand-in where only text may be, or a field that this Python does not have


def _field_owner(cls: type) -> type | None:
    for base in cls.__mro__:
        if base in _FIELDS:
            return base
    return None


def attributes_of(exc: BaseException) -> Iterator[tuple[str, object]]:
    """
    Yield what stands in the slots and in `__dict__` of an exception.
    """
    for cls in type(exc).__mro__:
        slots = cls.__dict__.get("__slots__", ())
        for slot in (slots,) if isinstance(slots, str) else slots:
            is_private = slot.startswith("__") and not slot.endswith("__")
            name = f"_{cls.__name__.lstrip('_')}{slot}" if is_private else slot
            try:
                yield name, cls.__dict__[name].__get__(exc)
            except (AttributeError, KeyError):  # never set; or `__dict__`, `__weakref__`
                continue
    for name, value in dict_of(exc).items():
        # Whatever else may be a key would need its class in the host.
        if type(name) is str:
            yield name, value


def set_attribute(exc: BaseException, name: str, value: object) -> None:
    """
    Set a slot, or what stands in `__dict__`, past any `__setattr__`.
    """
    for base in type(exc).__mro__:
        slot = base.__dict__.get(name)
        if type(slot) is MemberDescriptorType:
            slot.__set__(exc, value)
            return
    dict_of(exc)[name] = value


def has_stock_reducer(cls: Any) -> bool:
    """
    Tell whether pickle would take `args` and `__dict__`, and nothing of the user's own.
    """
    return cls.__reduce_ex__ is object.__reduce_ex__ and cls.__reduce__ in _STOCK_REDUCERS


def has_stock_state(cls: Any) -> bool:
    """
    Tell whether a class leaves `__getstate__` as it was, or a compiler has written it.

    Pickle asks no exception for its state. We ask those whose authors say what crosses; what mypyc
    adds to a class knows nothing of the `__dict__` that exceptions have.
    """
    return isinstance(cls.__getstate__, MethodDescriptorType)


def builtin_name(cls: type) -> str | None:
    """
    Return the name of a builtin class, None for all others.
    """
    return cls.__name__ if vars(builtins).get(cls.__name__) is cls else None


def class_name(cls: type) -> str:
    """
    Return the module-qualified name of a class, as a traceback prints it.
    """
    try:
        module, name = cls.__module__, cls.__qualname__
    except BaseException:  # a metaclass may hide them
        return "an exception"
    return f"{name}" if module in ("__main__", "builtins") else f"{module}.{name}"


def is_remote_text(exc: BaseException) -> bool:
    """
    Tell whether this is the text at the end of a failure that came from a worker of this process.
    """
    process: Any = sys.modules.get("concurrent.futures.process")
    return process is not None and type(exc) is process._RemoteTraceback


class _Scale:
    """
    Measure a pickle and give up as soon as it is too long, before all of it is in memory.
    """

    def __init__(self) -> None:
        self._room = _MAX_OBJ_NBYTES

    def write(self, data: bytes | memoryview) -> int:
        self._room -= len(data)
        if self._room < 0:
            raise OverflowError
        return len(data)


def _is_small(value: object) -> bool:
    try:
        Pickler(_Scale(), 5).dump(value)
    except BaseException:  # the user's reducers
        return False
    return True
