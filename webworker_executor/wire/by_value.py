"""
Pickle functions and classes themselves, where their name means nothing to the other process.

For: what lives in `__main__`, in a function, or in a module that is still being imported.
Not for: the common case. Importing this module imports cloudpickle (20 ms), so only `codec` does,
and only when the plain pickler has failed; a worker does when it receives the first such thing.
A changer must know: the functions at the end are named in the bytes. Both processes run the same
version of this package, so they may change, but never their meaning within one run. Who is whose
original is decided in `origin`.
"""

from __future__ import annotations

import functools
import sys
from contextvars import ContextVar
from io import BytesIO
from types import FunctionType
from typing import TYPE_CHECKING, Any

import cloudpickle
from cloudpickle import cloudpickle as internals

from webworker_executor.wire import codec, origin, variable
from webworker_executor.wire.by_name import MAIN, goes_by_name, is_being_imported
from webworker_executor.wire.snapshot import Snapshot, take
from webworker_executor.wire.version import version

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from pickle import PickleBuffer

__all__ = ["CloudPickler", "dumps_by_value"]

# The type of what `functools.cache` makes; in C, and without a public name.
_CachedFunction = type(functools.cache(len))
# The wrapper of a function that came here, so that its cache lasts from task to task.
_cached: dict[Callable[..., Any], Any] = {}


def dumps_by_value(
    value: object,
    buffer_callback: Callable[[PickleBuffer], bool] | None = None,
    *,
    to_host: bool = False,
    more_reducers: Mapping[type, Callable[[Any], Any]] | None = None,
) -> bytes:
    """
    Pickle a value with `CloudPickler`.

    Args:
        value: Anything that cloudpickle takes.
        buffer_callback: As for `pickle.dumps`. None keeps every buffer in band.
        to_host: Whether what came by value from this process's host may go back by reference.
        more_reducers: Reduce functions by exact type, which come before the usual ones.

    Returns:
        The pickle.

    Raises:
        PicklingError: If the value does not pickle.
        Exception: Whatever the value's own hooks raise.
    """
    with BytesIO() as file:
        pickler = CloudPickler(file, buffer_callback, to_host=to_host, more_reducers=more_reducers)
        try:
            pickler.dump(value)
        except Exception as error:
            for name, fn_name in pickler.suspects:
                error.add_note(
                    f"{fn_name}() of __main__ goes to the worker with its global variable "
                    f"{name!r}, which does not pickle. Make it in the worker, in an initializer."
                )
            raise
        return file.getvalue()


class CloudPickler(cloudpickle.Pickler):  # type: ignore[misc]  # untyped base
    """
    cloudpickle's pickler, for processes that live long and send things back and forth.

    It differs in what a *second* arrival does. cloudpickle builds a function anew with globals of
    its own, and applies a class's attributes once more. Here the functions of one module share
    their globals in the worker, as they do at home, a class keeps what the worker has set on it,
    and the host gets its own objects back.
    """

    def __init__(
        self,
        file: BytesIO,
        buffer_callback: Callable[[PickleBuffer], bool] | None = None,
        *,
        to_host: bool = False,
        more_reducers: Mapping[type, Callable[[Any], Any]] | None = None,
    ) -> None:
        super().__init__(file, protocol=5, buffer_callback=buffer_callback)
        self._to_host = to_host
        self._more_reducers = more_reducers or {}
        self._is_class_apart = False
        self.suspects: list[tuple[str, str]] = []

    def reducer_override(self, obj: Any) -> Any:
        """
        Reduce functions, classes and context variables our way, and leave the rest to cloudpickle.

        Args:
            obj: The object that is being pickled.

        Returns:
            A reduce tuple, or NotImplemented.

        Source: `pickle.Pickler.reducer_override`.
        """
        kind = type(obj)
        reduce = self._more_reducers.get(kind)
        if reduce is not None:
            return reduce(obj)
        if kind is FunctionType:
            return self._reduce_function(obj)
        if issubclass(kind, type):
            return self._reduce_class(obj)
        if kind is ContextVar:
            return variable.reduce_variable(obj)
        if kind is _CachedFunction and not goes_by_name(obj):
            return receive_cached, (obj.__wrapped__, obj.cache_parameters())
        return NotImplemented

    def _reduce_class(self, cls: type) -> Any:
        if self._to_host and (ident := origin.host_ident(cls)) is not None:
            return original, (ident, cls.__qualname__)
        if goes_by_name(cls):
            return NotImplemented
        if not is_being_imported(cls.__module__) and cls.__module__ not in MAIN:
            reduced = internals._class_reduce(cls)
            if reduced is NotImplemented or len(reduced) < 6:
                return reduced
        ident = internals._get_or_create_tracker_id(cls)
        is_kept = origin.ship(cls, ident)
        if is_kept and not self._is_class_apart:
            apart = _packed_apart(cls, ident)
            if apart is not None:
                return receive_packed_class, (ident, apart)
        make, args, state, *_ = internals._dynamic_class_reduce(cls)
        arguments = (ident, is_kept, make, args)
        return receive_class, arguments, state, None, None, adopt_class_state

    def _reduce_function(self, fn: FunctionType) -> Any:
        if self._to_host and (ident := origin.host_ident(fn)) is not None:
            return original, (ident, fn.__qualname__)
        if goes_by_name(fn) and internals._should_pickle_by_reference(fn):
            return NotImplemented
        _, args, (state, slots), *_ = self._dynamic_function_reduce(fn)
        ident = origin.function_ident(fn)
        namespace = origin.namespace_of(fn)
        if namespace is not None:
            versions = {name: version(each) for name, each in slots["__globals__"].items()}
            slots["__versions__"] = versions
            self.suspects += [
                (name, fn.__qualname__) for name in versions if versions[name] is None
            ]
        arguments = (ident, origin.ship(fn, ident), namespace, *args)
        return receive_function, arguments, (state, slots), None, None, adopt_function_state


_apart: dict[str, tuple[Snapshot, bytes]] = {}


def _packed_apart(cls: type, ident: str) -> bytes | None:
    """
    Give a class as bytes of its own, which the reader leaves alone if it has the class.

    Of 140 us to pack one instance of a small dataclass, and 30 us to unpack it, all but 10 and 5
    went into the class.

    Returns:
        The pickle; None if the class refers to something that may change unseen, so that it must be
        packed each time.
    """
    known = _apart.get(ident)
    if known is not None and known[0].is_unchanged():
        return known[1]
    taken = take(cls)
    if taken is None:
        return None
    with BytesIO() as file:
        pickler = CloudPickler(file)
        # Classes that refer to each other would otherwise be packed inside each other without end.
        pickler._is_class_apart = True
        pickler.dump(cls)
        payload = file.getvalue()
    _apart[ident] = (taken, payload)
    return payload


def original(ident: str, name: str) -> object:
    """
    Give the host's own object for one that has come back to it.

    Raises:
        LookupError: If this process has never sent such an object.
    """
    return origin.shipped(ident, name)


def receive_class(
    ident: str, is_kept: bool, make: Callable[..., type], args: tuple[Any, ...]
) -> type:
    """
    Give the class that is known by the ident, or make it, without its attributes.
    """
    known: type | None = internals._DYNAMIC_CLASS_TRACKER_BY_ID.get(ident)
    if known is not None:
        return known
    cls = make(*args)
    origin.receive_class(cls, ident, is_kept)
    _note_half_imported(cls.__module__)
    return cls


def receive_packed_class(ident: str, payload: bytes) -> object:
    """
    Give the class that is known by the ident, or unpack it.
    """
    known: type | None = internals._DYNAMIC_CLASS_TRACKER_BY_ID.get(ident)
    if known is not None and not origin.is_unfinished(known):
        return known
    return codec.unpack(payload)


def adopt_class_state(cls: type, state: tuple[dict[str, object], dict[str, object]]) -> None:
    """
    Set the attributes of a class that has just been made, and never again.

    cloudpickle sets them at each arrival, which undoes what a task has counted or cached on its
    class, and would even overwrite the host's class when an instance comes home.
    """
    if origin.is_unfinished(cls):
        internals._class_setstate(cls, state)
        origin.finish(cls)


def receive_function(
    ident: str,
    is_kept: bool,
    namespace: str | None,
    code: Any,
    base: dict[str, object],
    *rest: Any,
) -> FunctionType:
    """
    Give this process's own function if it is one that has come home, or make it, without its state.
    """
    own = origin.born_here(ident)
    if own is not None:
        return own
    variables = base if namespace is None else origin.variables(namespace, base)
    fn: FunctionType = internals._make_function(code, variables, *rest)
    origin.receive_function(fn, ident, is_kept)
    return fn


def adopt_function_state(fn: FunctionType, state: tuple[dict[str, object], dict[str, Any]]) -> None:
    """
    Set the state of a function that has just been made.

    A global is set only if the sender has changed it since it was last sent here. So an
    initializer's assignment, a cache, a counter last in the worker as they would in a module that
    it had imported; and yet a helper that was redefined in a notebook arrives.
    """
    if origin.is_born_here(fn):
        return
    attributes, slots = state
    versions = slots.pop("__versions__", None)
    if versions is not None:
        slots["__globals__"] = origin.changed(fn.__globals__, slots["__globals__"], versions)
    internals._function_setstate(fn, (attributes, slots))
    _note_half_imported(fn.__module__)


def _note_half_imported(module_name: str | None) -> None:
    if module_name and module_name != "__main__" and module_name not in sys.modules:
        codec.half_imported.add(module_name)


def receive_cached(wrapped: Callable[..., Any], parameters: dict[str, Any]) -> object:
    """
    Wrap a function that came by value in a cache of this process.

    Args:
        wrapped: The function.
        parameters: What `functools.lru_cache` was given.

    Returns:
        The wrapper; the same one for the same function, with what it has cached.
    """
    if wrapped not in _cached:
        _cached[wrapped] = functools.lru_cache(**parameters)(wrapped)
    return _cached[wrapped]
