"""
Put exceptions together again from the table that `dissect` made.

This is the host's half. Not for the envelope around the table nor for the text at the end of the
chain (`failure`).

The one thing a changer must know: shells come first, then what fills them. A shell needs its class
only (a group also its members' shells), so values may refer to any exception, also in circles. User
code runs here (imports, `__setstate__`, reducers' functions) and may do anything; whatever it
raises costs one value, or one exception.
"""

from __future__ import annotations

import builtins
from _io import BytesIO
from _pickle import Unpickler
from types import BuiltinFunctionType

from webworker_executor.wire.anatomy import (
    dict_of,
    set_args,
    set_attribute,
    set_cause,
    set_context,
    set_field,
    set_suppress,
    set_trace,
)
from webworker_executor.wire.dissect import (
    ARGS,
    ATTRIBUTES,
    CAUSE,
    CLASS,
    CONTEXT,
    FIELDS,
    MEMBERS,
    NAME,
    NOTES,
    REDUCED,
    SUPPRESSES,
    TEXT,
    TRACE,
    node,
)
from webworker_executor.wire.report import why
from webworker_executor.wire.stack import rebuild_trace
from webworker_executor.wire.surrogate import LeftBehind, RemoteError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any

    from webworker_executor.wire.dissect import Encoded, Node


class Assembly:
    """
    Hold the exceptions of one table while they are put together.

    Args:
        nodes: One row for each exception.
        parts: The pickles of their values.
        text: The whole failure in words, for exceptions that have to be replaced.
        note: Called with whatever was raised here and cost something.
    """

    __slots__ = (
        "_exceptions",
        "_nodes",
        "_note",
        "_parts",
        "_reduced",
        "_surrogates",
        "_text",
        "_under_way",
        "_values",
    )

    def __init__(
        self,
        nodes: list[Node],
        parts: list[bytes],
        text: str,
        note: Callable[[BaseException], object],
    ) -> None:
        self._nodes = nodes
        self._parts = parts
        self._text = text
        self._note = note
        self._exceptions: list[BaseException | None] = [None] * len(nodes)
        self._under_way: set[int] = set()
        self._reduced: set[int] = set()
        self._surrogates: set[int] = set()
        self._values: dict[int, object] = {}

    def build(self) -> BaseException:
        """
        Return the exception of the first row, complete.
        """
        # From the end, because members were found after their groups: no recursion however deep
        # they nest.
        for index in reversed(range(len(self._nodes))):
            self.shell(index)
        for index in range(len(self._nodes)):
            self._fill(index)
        return self.shell(0)

    def shell(self, index: int) -> BaseException:
        """
        Return the exception of a row, made if need be, not necessarily filled yet.
        """
        shell = self._exceptions[index]
        if shell is not None:
            return shell
        if index in self._under_way:
            raise RecursionError("an exception is an argument of its own constructor")
        self._under_way.add(index)
        try:
            shell = self._reduced_shell(index)
            if shell is None:
                shell = self._plain_shell(index)
        except BaseException as error:  # a missing module, or whatever an import raises
            self._note(error)
            shell = self._surrogate(index, why(error))
        self._exceptions[index] = shell
        return shell

    def _reduced_shell(self, index: int) -> BaseException | None:
        """
        Return what the class's own reducer makes, or None when it has none or that fails.
        """
        reduced = self._nodes[index][REDUCED]
        if reduced is None or reduced[0] is None:
            return None
        try:
            maker = self._decode(reduced[0])
            made = maker(*map(self._decode, reduced[1]))
        except BaseException as error:  # the likeliest: the constructor wants what `args` has not
            self._note(error)
            return None
        # One object for two rows would get the links of both.
        if not isinstance(made, BaseException) or any(made is other for other in self._exceptions):
            return None
        self._reduced.add(index)
        return made

    def _plain_shell(self, index: int) -> BaseException:
        row = self._nodes[index]
        cls = getattr(builtins, row[CLASS]) if type(row[CLASS]) is str else self._decode(row[CLASS])
        if type(cls) is LeftBehind:
            return self._surrogate(index, cls.reason)
        if not issubclass(cls, BaseException):
            raise TypeError(f"{row[NAME]} is no exception here")
        args: tuple[object, ...] = ()
        if row[MEMBERS] is not None:
            message, members = row[MEMBERS]
            args = (self._decode(message), [self.shell(member) for member in members])
        # Neither the class's `__new__` nor its `__init__` is called: they want what nobody has any
        # more.
        makers = (base.__dict__.get("__new__") for base in cls.__mro__)
        make, *_ = (make for make in makers if type(make) is BuiltinFunctionType)
        made: BaseException = make(cls, *args)
        return made

    def _surrogate(self, index: int, reason: str) -> RemoteError:
        row = self._nodes[index]
        self._surrogates.add(index)
        notes = row[NOTES] if type(row[NOTES]) is list else ()
        args = tuple(map(self._decode, row[ARGS]))
        return RemoteError(row[NAME], row[TEXT], notes, self._text, reason, args)

    def _decode(self, encoded: Encoded) -> Any:
        if type(encoded) is not tuple:
            return encoded
        if len(encoded) == 3:
            return LeftBehind(*encoded)
        if len(encoded) == 2:
            return self.shell(encoded[0])
        part = encoded[0]
        if part not in self._values:
            self._values[part] = self._load(self._parts[part])
        return self._values[part]

    def _load(self, data: bytes) -> object:
        try:
            return _PartUnpickler(data, self).load()
        except BaseException as error:
            self._note(error)
            return LeftBehind("object", f"{len(data)} B", why(error))

    def _fill(self, index: int) -> None:
        exc = self.shell(index)
        row = self._nodes[index]
        lost: list[str] = []
        if index not in self._surrogates:
            self._fill_state(exc, row, index in self._reduced, lost)
        _fill_notes(exc, row[NOTES] if type(row[NOTES]) is list else self._decode(row[NOTES]), lost)
        cause, context = row[CAUSE], row[CONTEXT]
        if cause is not None:
            set_cause(exc, self.shell(cause))
        if context is not None:
            set_context(exc, self.shell(context))
        set_suppress(exc, row[SUPPRESSES])
        set_trace(exc, rebuild_trace(row[TRACE]))

    def _fill_state(self, exc: BaseException, row: Node, is_reduced: bool, lost: list[str]) -> None:
        reduced = row[REDUCED]
        if not is_reduced:
            args = tuple(map(self._decode, row[ARGS]))
            lost += [
                f"args[{at}] {arg!r}" for at, arg in enumerate(args) if type(arg) is LeftBehind
            ]
            set_args(exc, args)
            for name, encoded in row[FIELDS]:
                set_field(exc, name, self._decode(encoded))
            if reduced is not None and reduced[0] is not None:
                reduced = None
        if reduced is not None and self._restore(exc, reduced, lost):
            return
        for name, value in self._decode_pairs(row[ATTRIBUTES], lost):
            set_attribute(exc, name, value)

    def _restore(self, exc: BaseException, reduced: tuple[Any, ...], lost: list[str]) -> bool:
        """
        Apply the state that the class's own methods gave; tell whether that went well.
        """
        encoded, setter = reduced[2], self._decode(reduced[3])
        state: Any = None
        if type(encoded) is list:
            state = dict(self._decode_pairs(encoded, lost))
        else:
            state = self._decode(encoded)
        if _is_lost(state):
            return False
        try:
            if setter is not None:
                setter(exc, state)
            elif state is not None:
                exc.__setstate__(state)
        except BaseException as error:  # the user's code
            self._note(error)
            return False
        return True

    def _decode_pairs(
        self, pairs: list[tuple[str, Encoded]], lost: list[str]
    ) -> list[tuple[str, object]]:
        decoded = [(name, self._decode(encoded)) for name, encoded in pairs]
        lost += [f"{name} {value!r}" for name, value in decoded if _is_lost(value)]
        return decoded


class _PartUnpickler(Unpickler):
    """
    Load one value, with references to the exceptions of its own table.
    """

    def __init__(self, data: bytes, assembly: Assembly) -> None:
        super().__init__(BytesIO(data))
        self._assembly = assembly

    def find_class(self, module: str, name: str) -> Any:
        if name == node.__name__ and module == node.__module__:
            return self._assembly.shell
        return super().find_class(module, name)


def _is_lost(value: object) -> bool:
    return type(value) is LeftBehind


def _fill_notes(exc: BaseException, notes: Any, lost: list[str]) -> None:
    if lost:
        notes = list(notes) if type(notes) is list else []
        notes += [note for each in lost if (note := f"left behind: {each}") not in notes]
    if notes is not None:
        dict_of(exc)["__notes__"] = notes
