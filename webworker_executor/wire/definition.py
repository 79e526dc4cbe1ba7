"""
Send a callable once, and name it by number after that.

For: deciding which callables may be sent once, and packing calls with or without theirs.
Not for: remembering who has which definition; that is the sender's business, worker by worker.
A changer must know: a definition is never sent twice to one worker, so it must mean the same for
ever. Whatever can change between two calls in a way that this module would not see must travel
inside the call.
"""

from __future__ import annotations

import sys
from _contextvars import copy_context
from _pickle import dumps
from _weakref import ref
from itertools import count

from webworker_executor.wire import by_name, codec, variable
from webworker_executor.wire.kinds import PART, PART_PREFIX
from webworker_executor.wire.transfer import for_call

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence
    from typing import Any, Protocol
    from weakref import WeakSet

    from webworker_executor.wire.apart import Shelf
    from webworker_executor.wire.snapshot import Snapshot
    from webworker_executor.wire.variable import Carried

    _Taken = tuple["Definition", Snapshot, int]
else:
    # The type checker's alone: to import it takes 3 ms.
    Protocol = object

__all__ = [
    "ARGUMENTS",
    "FULL",
    "NO_ARGUMENTS",
    "Definition",
    "Fixed",
    "define",
    "fix",
    "forget_large",
    "pack_call",
    "suspect",
    "unpack_call",
]

NO_ARGUMENTS = 0
"""Shape of a call with no arguments: its payload is empty."""
ARGUMENTS = 1
"""Shape of a call with positional arguments only: its payload is their tuple."""
FULL = 2
"""Shape of any other call: callable or None, positional arguments, keyword arguments, context or
None."""

# A worker keeps every definition. A function whose global counts the calls would fill it.
_MAX_CHANGES = 8
_MOST_BY_VALUE = 4096
# To pack and unpack as much takes as long as to send a hundred small calls.
_LARGE_NBYTES = 1 << 16
# To pack as much takes 2 ms and more.
LARGE_NBYTES = 1 << 20
_NOTHING = codec.Packed(b"", [])
_FUNCTION = type(lambda: None)
_BUILTIN = type(len)

_idents = count(1)
_by_name: dict[int, Definition] = {}
_by_value: dict[int, _Taken] = {}
# Functions a call of which was large with all that goes along, by address: see `large`.
suspects: dict[int, ref[Any]] = {}
_MOST_SUSPECTS = 256
# By module and name.
_latest: dict[tuple[str, str], int] = {}


class Holder(Protocol):
    """Who has definitions."""

    def take_back(self, ident: int) -> None:
        """Forget one of them; called by a finalizer."""


class Definition:
    """
    A callable that a worker can remember.

    Attributes:
        ident: Its number, at least 1, given once in the life of this process.
        payload: The callable, packed.
        fn: The callable. Being held here, no other object gets its address, which is the key.
        given: What a user gave, for errors to call it by: the callable, or what that stands for.
    """

    __slots__ = ("fn", "given", "ident", "payload")

    buffers: Sequence[Any] = ()
    # Of one that is needed for ever, nobody.
    holders: WeakSet[Holder] | None = None

    def __init__(self, fn: Callable[..., Any], payload: bytes) -> None:
        self.ident = next(_idents)
        self.payload = payload
        self.fn = self.given = fn

    def __repr__(self) -> str:
        return f"<Definition #{self.ident} {self.fn!r} {len(self.payload)} B>"


class FixedDefinition(Definition):
    """
    A callable as it was at one moment.

    Attributes:
        buffers: The places of its buffers, if it has any. Every worker makes its own copy of them
            for each call.
        holders: Who has it, each as long as anybody else refers to that; told to take it back when
            nobody needs it any more.
    """

    __slots__ = ("buffers", "holders")
    holders: WeakSet[Holder]

    def __init__(self, fn: Callable[..., Any], payload: bytes, buffers: Sequence[Any]) -> None:
        super().__init__(fn, payload)
        self.buffers = buffers
        # Here, because a worker must not import it at its start.
        from weakref import WeakSet

        self.holders = WeakSet()

    def __del__(self) -> None:
        for holder in list(self.holders):
            holder.take_back(self.ident)


class Fixed:
    """A callable that is sent as it was when this was made."""

    __slots__ = ("definition",)

    def __init__(self, definition: Definition) -> None:
        self.definition = definition

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        return self.definition.fn(*args, **kwargs)


def fix(fn: Callable[..., Any], whole: Callable[..., Any], shelf: Shelf) -> Fixed | None:
    """
    Pack a large callable once, for all the calls of one ``map``.

    That is one with large buffers, or a function of the main module that reads large globals: in
    the worker its calls share these, as those of the standard library share the module's.

    Args:
        fn: What a user gave.
        whole: What is called: it, or a function that calls it.
        shelf: As for `pack`.

    Returns:
        What to submit in the place of ``whole``. None where there is nothing to be gained: the
        callable is not large, is sent once anyway, does not pack, or there is no room.
    """
    if define(fn) is not None:
        return None
    try:
        pack = codec.pack_by_value if by_name.must_go_by_value(fn) else codec.pack
        packed = pack(whole, shelf=shelf)
    except Exception as error:
        _raise_a_handlers(error)
        # The calls will meet the same error, one by one, and raise it.
        return None
    if packed.buffers:
        if packed.buffers[0].__class__ is bytes:
            return None
    elif len(packed.payload) < _LARGE_NBYTES or not _is_of_main(fn):
        return None
    definition = FixedDefinition(whole, packed.payload, packed.buffers)
    definition.given = fn
    return Fixed(definition)


def _is_of_main(fn: object) -> bool:
    return fn.__class__ is _FUNCTION and by_name.is_module_level(fn)


def define(fn: Callable[..., Any]) -> Definition | None:
    """
    Give the definition of a callable that means the same at every call.

    Args:
        fn: Any callable.

    Returns:
        The definition; the same one for as long as the callable is unchanged. None for a callable
        that holds a state, or refers to one, which must travel inside each call. Also None on any
        error: packing the call will meet it again and raise it.
    """
    # By address, because a callable's own __hash__ and __eq__ are a user's code.
    definition = _by_name.get(id(fn))
    if definition is not None:
        return definition
    if fn.__class__ is Fixed:
        return fn.definition
    try:
        taken = _by_value.get(id(fn))
        if taken is not None and taken[1].is_unchanged():
            return taken[0]
        return _define_anew(fn, taken)
    except Exception as error:
        _raise_a_handlers(error)
        return None


def _define_anew(fn: Any, previous: _Taken | None) -> Definition | None:
    kind = type(fn)
    if kind is not _FUNCTION and kind is not _BUILTIN and not issubclass(kind, type):
        return None
    if by_name.goes_by_name(fn):
        payload = dumps(fn, 5)
        if b"_main__" in payload or by_name.is_lost(fn.__module__):
            # Of a module that is lost only forked workers know the name, and others would be told.
            return None
        # setdefault, because two threads may come here at once, and a number once used must stay.
        return _by_name.setdefault(id(fn), Definition(fn, payload))
    if kind is not _FUNCTION or not by_name.is_module_level(fn):
        # A lambda made anew for each call would be remembered for ever by both sides.
        return None
    n_changes = 0 if previous is None else previous[2] + 1
    if n_changes > _MAX_CHANGES or by_name.is_being_imported(fn.__module__):
        return None
    # Here, because it imports what a worker must not at its start; what goes by value needs it
    # anyway.
    from webworker_executor.wire import snapshot

    taken = snapshot.take(fn)
    if taken is None:
        return None
    packed = codec.pack_by_value(fn)
    if packed.buffers or not taken.is_unchanged():
        return None
    taken.was_packed()
    definition = FixedDefinition(fn, packed.payload, ())
    _by_value[id(fn)] = (definition, taken, n_changes)
    # Whose name is another's now is not needed any more; workers forget it, too. Lambdas have none.
    name = fn.__module__, fn.__qualname__ if fn.__name__ != "<lambda>" else str(definition.ident)
    before = _latest.pop(name, None)
    _latest[name] = id(fn)
    if before is None and len(_latest) > _MOST_BY_VALUE:
        before = _latest.pop(next(iter(_latest)), None)
    if before is not None and before != id(fn):
        _by_value.pop(before, None)
    return definition


def pack_call(
    fn: Callable[..., Any],
    args: tuple[Any, ...],
    kwargs: Mapping[str, Any],
    shelf: Shelf | None = None,
) -> tuple[Definition | None, int, codec.Packed]:
    """
    Pack a call, and the caller's context variables with it.

    Args:
        fn: What is to be called.
        args: Its positional arguments.
        kwargs: Its keyword arguments.
        shelf: As for `pack`.

    Returns:
        The definition that the worker must have before the call, or None if the callable is inside;
        the shape, one of `NO_ARGUMENTS`, `ARGUMENTS` and `FULL`; and the packed call, which is
        pending where something goes along.

    Raises:
        Exception: As `pack`.
    """
    # Most callables are known, and most contexts empty: without two more calls.
    definition = _by_name.get(id(fn)) or define(fn)
    if definition is None and suspects and shelf is not None:
        definition = _define_large(fn, shelf)
    context = variable.capture() if copy_context() else None
    if definition is not None:
        if context is not None or kwargs:
            rest = (None, args, kwargs, context)
            return definition, FULL, codec.pack(rest, parcel=for_call, shelf=shelf)
        if args:
            return definition, ARGUMENTS, codec.pack(args, parcel=for_call, shelf=shelf)
        return definition, NO_ARGUMENTS, _NOTHING
    call = (fn, args, kwargs, context)
    if by_name.must_go_by_value(fn):
        # The plain pickler would send its name, and the worker would import the module that is
        # submitting.
        return None, FULL, codec.pack_by_value(call, parcel=for_call, shelf=shelf)
    return None, FULL, codec.pack(call, parcel=for_call, shelf=shelf)


def suspect(fn: Callable[..., Any], packed: codec.Packed) -> None:
    """
    Look at a function alone with its next call, if this one was large.

    Args:
        fn: What is called.
        packed: The call, with the function in it.
    """
    if nbytes_of(packed) < LARGE_NBYTES or not _is_of_main(fn):
        return
    if by_name.goes_by_name(fn) or by_name.is_being_imported(fn.__module__):
        return
    if len(suspects) >= _MOST_SUSPECTS:
        suspects.clear()
    suspects[id(fn)] = ref(fn)


def nbytes_of(packed: codec.Packed | Definition) -> int:
    """Return how many bytes something is packed in."""
    return len(packed.payload) + sum(map(len, packed.buffers))


def _define_large(fn: Any, shelf: Shelf) -> Definition | None:
    suspected = suspects.get(id(fn))
    if suspected is None or suspected() is not fn:
        return None
    from webworker_executor.wire.large import definition_of

    try:
        return definition_of(fn, shelf)
    except Exception as error:
        _raise_a_handlers(error)
        # The call meets the same error.
        return None


def _raise_a_handlers(error: Exception) -> None:
    # Here, because a worker must not import it at its start.
    from webworker_executor.wire.struck import is_a_handlers

    if is_a_handlers(error):
        raise error


def forget_large() -> None:
    """Have large functions packed anew: workers come, or go, that see what there is now."""
    suspects.clear()
    large = sys.modules.get("webworker_executor.wire.large")
    if large is not None:
        large.forget()


def unpack_call(
    shape: int,
    payload: bytes | bytearray | memoryview,
    buffers: Iterable[object],
    fn: Callable[..., Any] | None,
    fds: Sequence[object] = (),
) -> tuple[Callable[..., Any], Sequence[Any], Mapping[str, Any], Carried | None]:
    """
    Unpack a call.

    Args:
        shape: The shape that `pack_call` gave; with `PART`, that of a call that `cut_call` has cut.
        payload: The packed call's payload.
        buffers: Its buffers.
        fn: The callable of its definition, or None if it had none.
        fds: Its descriptors.

    Returns:
        The callable, its positional and keyword arguments, and what `run_in_context` needs; None if
        the call can be made directly.

    Raises:
        LookupError: It has no callable, neither inside nor by its definition.
        Exception: As `unpack`.
    """
    if shape & PART:
        start, stop = PART_PREFIX.unpack_from(payload)
        payload = payload[PART_PREFIX.size :]
        fn, args, kwargs, context = unpack_call(shape ^ PART, payload, buffers, fn, fds)
        return fn, (*args[:-1], args[-1][start:stop]), kwargs, context
    unpacked: Any = () if shape == NO_ARGUMENTS else codec.unpack(payload, buffers, fds)
    if shape != FULL:
        if fn is None:
            raise LookupError(
                "A call came without its callable. That is a bug of webworker_executor."
            )
        return fn, unpacked, {}, None
    inside, args, kwargs, context = unpacked
    return inside if fn is None else fn, args, kwargs, context
