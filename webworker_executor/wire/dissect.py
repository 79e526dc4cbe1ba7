"""
Take an exception, and all it refers to, apart into a table of plain values.

This is the worker's half; `assemble` is the host's. Not for the traceback's frames (`stack`) nor for text (`report`).

The one thing a changer must know: every exception is a row of its own, and each of its values that is more than a
number or a string is a pickle of its own. So a chain of 1,000 costs no recursion, a cycle no care, and one value that
cannot be pickled here, or unpickled there, takes nothing else with it. A single pickle of everything would be
simpler, and one lock in one attribute would spoil it.
"""

from __future__ import annotations

import builtins
import sys
from _io import BytesIO
from _pickle import Pickler
from types import TracebackType

from webworker_executor.wire import codec
from webworker_executor.wire.report import (
    cause_of,
    class_name,
    context_of,
    suppresses_context,
    text_of,
    trace_of,
    why,
)
from webworker_executor.wire.stack import known_frames, rebuild_trace

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator
    from typing import Any, TypeAlias

    # Itself when it is a number or a string; (part,) for a pickle; (exception, True) for a row of the table;
    # (type name, repr, reason) when it had to be left behind.
    Encoded: TypeAlias = Any

# The state that builtin exceptions keep outside `args` and `__dict__`, and that their `__reduce__` mostly forgets.
FIELDS: dict[type, tuple[str, ...]] = {
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

_ATOMS = frozenset((str, int, float, bool, type(None), bytes, complex))
_STOCK_REDUCERS = frozenset(
    cls.__reduce__
    for cls in vars(builtins).values()
    if isinstance(cls, type) and issubclass(cls, BaseException)
)
# `AttributeError.obj` is whatever the typing error was made on: a table of 1 GB as easily as a small object.
_MAX_OBJ_NBYTES = 65536
_MAX_REPR_NCHARS = 1000

args_of = BaseException.args.__get__  # type: ignore[attr-defined]  # because typeshed has no descriptors here


def node(index: int) -> BaseException:
    """
    Stand in pickles for the exception in that row of the table; the reader puts its own function here.
    """
    raise LookupError(f"exception {index} belongs to another table")


class Dissection:
    """
    Hold the table while it grows: `nodes` for the exceptions, `parts` for the pickles of their values.

    Args:
        exc: The exception at the root of everything.
        trace: Its traceback, which may be shorter than its own.
    """

    __slots__ = ("_found", "_indexes", "_kept", "_part_of", "_pickled", "nodes", "parts", "sources")

    def __init__(self, exc: BaseException, trace: TracebackType | None) -> None:
        self.nodes: list[tuple[Any, ...]] = []
        self.parts: list[bytes] = []
        self.sources: dict[str, str] = {}
        self._found: list[BaseException] = []
        self._indexes: dict[int, int] = {}
        self._part_of: dict[int, Encoded] = {}
        # What reducers return lives a moment only; another object would get its id, and then its pickle.
        self._kept: list[object] = []
        self.index(exc)
        for found in self._found:  # grows while it is walked
            self.nodes.append(self._node(found, trace if found is exc else trace_of(found)))

    def index(self, exc: BaseException) -> int:
        """
        Return the row of an exception, which gets one if it has none yet.
        """
        index = self._indexes.get(id(exc))
        if index is None:
            index = self._indexes[id(exc)] = len(self._found)
            self._found.append(exc)
        return index

    def encode(self, value: object) -> Encoded:
        """
        Return what stands for a value in the table. Never raises.
        """
        cls = type(value)
        if cls in _ATOMS:
            return value
        if issubclass(cls, BaseException):
            return (self.index(value), True)  # type: ignore[arg-type]  # because of `cls`
        encoded = self._part_of.get(id(value))
        if encoded is None:
            try:
                self.parts.append(self._dumps(value))
                encoded = (len(self.parts) - 1,)
            except BaseException as error:  # a reducer may even exit
                encoded = (class_name(cls), text_of(value, repr)[:_MAX_REPR_NCHARS], why(error))
            self._part_of[id(value)] = encoded
            self._kept.append(value)
        return encoded

    def rows(self, trace: TracebackType | None) -> tuple[Any, ...]:
        """
        Return the rows of a traceback, and remember the sources that only this process has.
        """
        frames = known_frames(trace)
        for known in frames:
            if known.source is not None:
                self.sources[known.row[0]] = known.source
        return tuple([known.row for known in frames])

    def _node(self, exc: BaseException, trace: TracebackType | None) -> tuple[Any, ...]:
        cls = type(exc)
        cause, context = cause_of(exc), context_of(exc)
        attributes = dict(_attributes(exc))
        notes = attributes.pop("__notes__", None)
        members = None
        if issubclass(cls, BaseExceptionGroup):
            message, exceptions = _group_parts(exc)
            members = (self.encode(message), tuple(map(self.index, exceptions)))
        return (
            class_name(cls),
            text_of(exc),
            _builtin_name(cls) or self.encode(cls),
            tuple(map(self.encode, args_of(exc))),
            self._fields(exc),
            tuple([(name, self.encode(value)) for name, value in attributes.items()]),
            list(notes) if type(notes) is list and _is_text(notes) else self.encode(notes),
            self.rows(trace),
            None if cause is None or _is_remote_text(cause) else self.index(cause),
            None if context is None else self.index(context),
            bool(suppresses_context(exc)),
            members,
            self._reduced(exc),
        )

    def _fields(self, exc: BaseException) -> tuple[tuple[str, Encoded], ...]:
        for base in type(exc).__mro__:
            if base in FIELDS:
                break
        else:
            return ()
        fields = []
        for name in FIELDS[base]:
            try:
                value = getattr(base, name).__get__(exc)
            except (
                AttributeError,
                TypeError,
            ):  # never set; or a field that only later Pythons have
                continue
            if value is None:
                continue
            if name == "obj" and type(value) not in _ATOMS and not _is_small(value):
                continue
            fields.append((name, self.encode(value)))
        return tuple(fields)

    def _reduced(self, exc: BaseException) -> tuple[Encoded, ...] | None:
        cls = type(exc)
        try:
            if cls.__reduce_ex__ is object.__reduce_ex__ and cls.__reduce__ in _STOCK_REDUCERS:
                if cls.__getstate__ is object.__getstate__:  # type: ignore[attr-defined]  # since 3.11
                    return None
                return (None, (), self._state(exc.__getstate__()), None)  # type: ignore[attr-defined]  # as above
            reduced = exc.__reduce_ex__(5)
            if type(reduced) is not tuple or len(reduced) < 2 or any(reduced[3:5]):
                return None
            self._kept.append(reduced)
            maker, args, state, _, _, setter = (*reduced, *(None,) * 4)[:6]
            return (
                self.encode(maker),
                tuple(map(self.encode, args)),
                self._state(state),
                self.encode(setter),
            )
        except BaseException:  # it is the user's code; the exception crosses without its help
            return None

    def _state(self, state: object) -> Encoded:
        # A list marks a dict taken apart: no encoded value is one.
        if type(state) is not dict:
            return self.encode(state)
        self._kept.append(state)
        return [(key, self.encode(value)) for key, value in state.items() if key != "__notes__"]

    def _dumps(self, value: object) -> bytes:
        data = None
        if not codec.half_imported:
            try:
                data = self._dump_with(_PlainPickler, value)
            except BaseException:
                pass  # by value it may go; if not, that error tells more
            else:
                if b"_main__" not in data:
                    return data
        try:
            return self._dump_with(_by_value_pickler(), value)
        except BaseException:
            # Perhaps the name is only part of a text, and the host has a `__main__` too.
            if data is None:
                raise
            return data

    def _dump_with(self, make: Any, value: object) -> bytes:
        file = BytesIO()
        pickler = make(file)
        pickler.dissection = self
        pickler.dump(value)
        return file.getvalue()


class _PlainPickler(Pickler):
    dissection: Dissection

    def __init__(self, file: BytesIO) -> None:
        super().__init__(file, 5)

    def reducer_override(self, value: object) -> Any:
        return _reduce(self.dissection, value)


_made: list[Any] = []


def _by_value_pickler() -> Any:
    if not _made:
        # Here, because it costs 20 ms to import cloudpickle, and most workers never need it.
        from webworker_executor.wire.by_value import CloudPickler

        class ByValuePickler(CloudPickler):
            dissection: Dissection

            def __init__(self, file: BytesIO) -> None:
                super().__init__(file, None, to_host=True)

            def reducer_override(self, value: object) -> Any:
                reduced = _reduce(self.dissection, value)
                return super().reducer_override(value) if reduced is NotImplemented else reduced

        _made.append(ByValuePickler)
    return _made[0]


def _reduce(dissection: Dissection, value: object) -> Any:
    cls = type(value)
    if cls is TracebackType:
        return rebuild_trace, (dissection.rows(value),)  # type: ignore[arg-type]  # because of `cls`
    if issubclass(cls, BaseException):
        return node, (dissection.index(value),)  # type: ignore[arg-type]  # because of `cls`
    return NotImplemented


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
    except BaseException:
        return False
    return True


def _attributes(exc: BaseException) -> Iterator[tuple[str, object]]:
    for cls in type(exc).__mro__:
        slots = cls.__dict__.get("__slots__", ())
        for slot in (slots,) if isinstance(slots, str) else slots:
            name = f"_{cls.__name__.lstrip('_')}{slot}" if _is_private(slot) else slot
            try:
                yield name, cls.__dict__[name].__get__(exc)
            except (AttributeError, KeyError):  # never set; or `__dict__`, `__weakref__`
                continue
    yield from BaseException.__dict__["__dict__"].__get__(exc).items()


def _is_private(name: str) -> bool:
    return name.startswith("__") and not name.endswith("__")


def _builtin_name(cls: type) -> str | None:
    return cls.__name__ if vars(builtins).get(cls.__name__) is cls else None


def _is_text(notes: list[object]) -> bool:
    return all(type(note) is str for note in notes)


def _group_parts(exc: BaseException) -> tuple[object, tuple[BaseException, ...]]:
    group = BaseExceptionGroup
    return group.message.__get__(exc), group.exceptions.__get__(exc)  # type: ignore[attr-defined]  # descriptors


def _is_remote_text(exc: BaseException) -> bool:
    # The failure of a worker's own worker ends in such a text already. The text made here contains it.
    process = sys.modules.get("concurrent.futures.process")
    return process is not None and type(exc) is process._RemoteTraceback
