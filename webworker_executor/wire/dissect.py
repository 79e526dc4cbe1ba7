"""
Take an exception, and all it refers to, apart into a table of plain values.

This is the worker's half; `assemble` is the host's. Not for the traceback's frames (`stack`) nor
for text (`report`).

The one thing a changer must know: every exception is a row of its own, and each of its values that
is more than a number or a string is a pickle of its own. So a chain of 1,000 costs no recursion, a
cycle no care, and one value that cannot be pickled here, or unpickled there, takes nothing else
with it. A single pickle of everything would be simpler, and one lock in one attribute would spoil
it. The price: values that share a part of themselves share it no longer.
"""

from __future__ import annotations

from _io import BytesIO
from _pickle import Pickler
from types import TracebackType

from webworker_executor.wire import codec
from webworker_executor.wire.anatomy import (
    args_of,
    attributes_of,
    builtin_name,
    cause_of,
    class_name,
    context_of,
    fields_of,
    has_stock_reducer,
    has_stock_state,
    is_remote_text,
    members_of,
    message_of,
    suppresses_context,
    trace_of,
)
from webworker_executor.wire.report import MAX_TEXT_NCHARS, text_of, why
from webworker_executor.wire.stack import known_frames, rebuild_trace

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any, TypeAlias

    # Itself when it is a number or a string; (part,) for a pickle; (exception, True) for a row of
    # the table; (type name, repr, reason) when it had to be left behind.
    Encoded: TypeAlias = Any
    # A row of the table.
    Node: TypeAlias = tuple[Any, ...]

# What stands where in a row, as `Dissection._node` lays it out.
NAME, TEXT, CLASS, ARGS, FIELDS, ATTRIBUTES, NOTES, TRACE = range(8)
CAUSE, CONTEXT, SUPPRESSES, MEMBERS, REDUCED = range(8, 13)
_ATOMS = frozenset((str, int, float, bool, type(None), bytes, complex))
_MAX_REPR_NCHARS = 1000
# Of all exceptions but the root: their text is for surrogates only, and there may be thousands.
_MAX_TEXT_NCHARS = 65536


def node(index: int) -> BaseException:
    """
    Stand in pickles for the exception in that row; the reader puts its own function here.
    """
    raise LookupError(f"exception {index} belongs to another table")


class Dissection:
    """
    Hold the table while it grows.

    Args:
        exc: The exception at the root of everything.
        trace: Its traceback, which may be shorter than its own.

    Attributes:
        nodes: A row for each exception, the root first.
        parts: The pickles of their values.
        sources: The text of files that exist in this process only.
    """

    __slots__ = ("_found", "_indexes", "_kept", "_known", "nodes", "parts", "sources")

    def __init__(self, exc: BaseException, trace: TracebackType | None) -> None:
        self.nodes: list[Node] = []
        self.parts: list[bytes] = []
        self.sources: dict[str, str] = {}
        self._found: list[BaseException] = []
        self._indexes: dict[int, int] = {}
        self._known: dict[int, Encoded] = {}
        # What reducers return lives a moment only; another object would get its id, and then its
        # pickle.
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

    def rows(self, trace: TracebackType | None) -> tuple[Any, ...]:
        """
        Return the rows of a traceback, and remember the sources that only this process has.
        """
        frames = known_frames(trace)
        for known in frames:
            if known.source is not None:
                self.sources[known.row[0]] = known.source
        return tuple([known.row for known in frames])

    def reduce(self, value: object) -> Any:
        """
        Return how a pickler is to reduce exceptions and tracebacks inside of other values.
        """
        if isinstance(value, TracebackType):
            return rebuild_trace, (self.rows(value),)
        # Not isinstance(): that asks `__class__`, which may be the user's code.
        if issubclass(type(value), BaseException):
            return node, (self.index(value),)  # type: ignore[arg-type]  # asked in the line above
        return NotImplemented

    def _node(self, exc: BaseException, trace: TracebackType | None) -> Node:
        cls = type(exc)
        cause, context = cause_of(exc), context_of(exc)
        attributes = dict(attributes_of(exc))
        notes = attributes.pop("__notes__", None)
        members = None
        if issubclass(cls, BaseExceptionGroup):
            members = (self._encode(message_of(exc)), tuple(map(self.index, members_of(exc))))
        return (
            class_name(cls),
            text_of(exc, max_nchars=MAX_TEXT_NCHARS if not self.nodes else _MAX_TEXT_NCHARS),
            builtin_name(cls) or self._encode(cls),
            tuple(map(self._encode, args_of(exc))),
            [(name, self._encode(value)) for name, value in fields_of(exc)],
            [(name, self._encode(value)) for name, value in attributes.items()],
            self._encode_notes(notes),
            self.rows(trace),
            None if cause is None or is_remote_text(cause) else self.index(cause),
            None if context is None else self.index(context),
            bool(suppresses_context(exc)),
            members,
            self._encode_reduced(exc),
        )

    def _encode(self, value: object) -> Encoded:
        cls = type(value)
        if cls in _ATOMS:
            return value
        if issubclass(cls, BaseException):
            return (self.index(value), True)  # type: ignore[arg-type]  # asked in the line above
        encoded = self._known.get(id(value))
        if encoded is None:
            try:
                self.parts.append(self._dumps(value))
                encoded = (len(self.parts) - 1,)
            except BaseException as error:  # a reducer may even exit
                shown = text_of(value, repr, _MAX_REPR_NCHARS)
                encoded = (class_name(cls), shown, why(error))
            self._known[id(value)] = encoded
            self._kept.append(value)
        return encoded

    def _encode_notes(self, notes: object) -> Encoded:
        # A list is what no other encoded value is.
        if type(notes) is list and all(type(note) is str for note in notes):
            return list(notes)
        return self._encode(notes)

    def _encode_reduced(self, exc: BaseException) -> tuple[Encoded, ...] | None:
        """
        Return (maker, its arguments, state, its setter) if the class has methods of its own.
        """
        cls: Any = type(exc)
        try:
            if has_stock_reducer(cls):
                if has_stock_state(cls):
                    return None
                return (None, (), self._encode_state(cls.__getstate__(exc)), None)
            reduced = exc.__reduce_ex__(5)
            if type(reduced) is not tuple or len(reduced) < 2 or any(reduced[3:5]):
                return None
            self._kept.append(reduced)
            maker, args, state, _, _, setter = (*reduced, *(None,) * 4)[:6]
            return (
                self._encode(maker),
                tuple(map(self._encode, args)),
                self._encode_state(state),
                self._encode(setter),
            )
        except BaseException:  # it is the user's code; the exception crosses without its help
            return None

    def _encode_state(self, state: object) -> Encoded:
        # Taken apart, one attribute that cannot cross takes no other with it.
        if type(state) is not dict or any(type(key) is not str for key in state):
            return self._encode(state)
        self._kept.append(state)
        return [(key, self._encode(value)) for key, value in state.items() if key != "__notes__"]

    def _dumps(self, value: object) -> bytes:
        data = None
        if not codec.half_imported:
            try:
                data = _dump_with(_PlainPickler, value, self)
            except BaseException:
                pass  # by value it may go; if not, that error tells more
            else:
                if b"_main__" not in data:
                    return data
        try:
            return _dump_with(_by_value_pickler(), value, self)
        except BaseException:
            # Perhaps the name is only part of a text, and the host has a `__main__` too.
            if data is None:
                raise
            return data


class _PlainPickler(Pickler):
    dissection: Dissection

    def __init__(self, file: BytesIO) -> None:
        super().__init__(file, 5)

    def reducer_override(self, value: object) -> Any:
        return self.dissection.reduce(value)


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
                reduced = self.dissection.reduce(value)
                return super().reducer_override(value) if reduced is NotImplemented else reduced

        _made.append(ByValuePickler)
    return _made[0]


def _dump_with(make: Any, value: object, dissection: Dissection) -> bytes:
    file = BytesIO()
    pickler = make(file)
    pickler.dissection = dissection
    pickler.dump(value)
    return file.getvalue()
