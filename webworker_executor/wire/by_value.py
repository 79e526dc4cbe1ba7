"""
Pickle functions and classes themselves, where their name means nothing to the other process.

For: what lives in `__main__`, in a function, or in a module that is still being imported.
Not for: the common case. Importing this module imports cloudpickle (25 ms), so only `codec` does,
and only when the plain pickler and `departure` have failed. Nor for unpickling, which is
`arrival`'s, so that a worker that only receives is spared cloudpickle.
A changer must know: whatever is common must be reduced to something in `arrival`; one mention of
cloudpickle's own functions, and the receiver imports it. Who is whose original is decided in
`origin`.
"""

from __future__ import annotations

import dataclasses
import enum
import functools
import itertools
import sys
from io import BytesIO
from types import FunctionType, GetSetDescriptorType, MemberDescriptorType
from typing import TYPE_CHECKING, Any, NamedTuple, TypeVar

import cloudpickle
from cloudpickle import cloudpickle as internals

from webworker_executor.wire import arrival, enumeration, origin, structure
from webworker_executor.wire.absent import Absent, Inherited
from webworker_executor.wire.by_name import MAIN, goes_by_name, is_named, is_unreachable
from webworker_executor.wire.departure import (
    REDUCERS,
    is_bulk,
    reduce_function,
    reopened,
    share_attributes,
)
from webworker_executor.wire.forks import Forks, is_packing_for_forks, noted, readers
from webworker_executor.wire.snapshot import Snapshot, take
from webworker_executor.wire.stand_in import stand_in_for
from webworker_executor.wire.struck import is_a_handlers
from webworker_executor.wire.version import by_identity, version
from webworker_executor.wire.whole import as_inherited, find, find_values

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from pickle import PickleBuffer

__all__ = ["CloudPickler", "dumps_by_value"]

# The type of what `functools.cache` makes; in C, and without a public name.
_CachedFunction = type(functools.cache(len))
# What `functools.singledispatch` makes is a function like any other, but for its code.
_DISPATCHER: Any = functools.singledispatch(len)
# What came before cloudpickle was here is to have the same ident if it goes on.
origin.tell_cloudpickle()


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
            return file.getvalue()
        except Exception as error:
            pack = functools.partial(_dumps_alone, to_host=to_host)
            is_again = not is_a_handlers(error) and (
                find(pickler.classes, pack, to_host=to_host) or find_values(pickler.values, pack)
            )
            for name, fn_name in pickler.suspects:
                error.add_note(
                    f"{fn_name}() of __main__ goes to the worker with its global variable "
                    f"{name!r}, which does not pickle. Make it in the worker, in an initializer; "
                    "or have workers inherit it, by launcher='fork'."
                )
            if not is_again:
                raise
    # In band: of the first attempt there are buffers already.
    return dumps_by_value(value, to_host=to_host, more_reducers=more_reducers)


def _dumps_alone(thing: object, whole: frozenset[type], *, to_host: bool) -> None:
    with BytesIO() as file:
        pickler = CloudPickler(file, to_host=to_host)
        pickler._is_class_apart, pickler._whole = True, whole
        pickler.dump(thing)


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
        self._bases: dict[int, dict[str, object]] = {}
        self._noted = noted()
        self._whole: frozenset[type] = frozenset()
        self.classes: list[type] = []
        self.values: list[object] = []
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
        if self._noted and id(obj) in self._noted:
            return self._noted[id(obj)][1].__reduce__()
        kind = type(obj)
        reduce = self._more_reducers.get(kind)
        if reduce is not None:
            return reduce(obj)
        if kind is FunctionType:
            return self._reduce_function(obj)
        if issubclass(kind, type):
            return self._reduce_class(obj)
        own = _REDUCERS.get(kind) or _registered(kind)
        if own is not None:
            return own(obj)
        if kind is TypeVar and is_unreachable(obj.__module__):
            # cloudpickle would name the module.
            return internals._make_typevar, internals._decompose_typevar(obj)
        if isinstance(obj, enum.Enum) and not goes_by_name(kind):
            return enumeration.reduce_member(obj)
        return NotImplemented if self._to_host or not is_named(kind) else _reduce_named(obj)

    def _reduce_class(self, cls: type) -> Any:
        if self._to_host and (ident := origin.host_ident(cls)) is not None:
            return arrival.original, (ident, cls.__qualname__)
        if goes_by_name(cls):
            return NotImplemented
        inherited = as_inherited(cls, to_host=self._to_host)
        if inherited is not None or cls in self._whole:
            return inherited or (str, ())
        name = internals._BUILTIN_TYPE_NAMES.get(cls)
        if name is not None and cls not in _SINGLE:
            return arrival.builtin_type, (name,)
        if not is_unreachable(cls.__module__) and cls.__module__ not in MAIN:
            reduced = internals._class_reduce(cls)
            if reduced is NotImplemented or len(reduced) < 6:
                return reduced
        derived = structure.derived_from(cls)
        if derived is not None:
            return derived
        ident = internals._get_or_create_tracker_id(cls)
        is_kept = origin.ship(cls, ident)
        self.classes.append(cls)
        if is_kept and not self._is_class_apart:
            apart = _packed_apart(cls, ident, self.classes)
            if apart is not None:
                return arrival.receive_packed_class, (ident, *apart)
        make: Callable[..., type]
        if issubclass(cls, enum.Enum):
            make, adopt = enumeration.make_enum, enumeration.adopt_enum_state
            args, state = enumeration.taken_apart(cls)
        else:
            make, adopt = arrival.make_class, arrival.adopt_class_state
            _, args, state, *_ = internals._dynamic_class_reduce(cls)
            args = args[:4]
            # As a class statement does. cloudpickle knows classes by their last name only.
            args[3]["__qualname__"] = cls.__qualname__
            structure.in_order(state[0])
        share_attributes(cls, state[0])
        self._part_with_the_rest(cls, state[0])
        if NamedTuple not in args[2]:
            # Which has its own, and refuses any.
            _keep_slots(cls, args[3], state[0])
        return arrival.receive_class, (ident, is_kept, make, args), state, None, None, adopt

    def _part_with_the_rest(self, cls: type, attributes: dict[str, object]) -> None:
        """Have something in the place of each attribute of a class that does not pickle."""
        for name, value in attributes.items():
            given = vars(cls).get(name)
            kind = type(given)
            # What the class machinery has made is whole or nothing.
            is_made = name.startswith("__")
            if is_made or kind in _PICKLED_IN_PARTS or kind in self._more_reducers:
                continue
            attributes[name] = value = reopened(value)
            if is_bulk(given) or version(value) is not None:
                continue
            own = stand_in_for(given) or Absent(f"{cls.__qualname__}.{name}", kind.__qualname__)
            attributes[name] = Inherited(cls, name, own) if is_packing_for_forks() else own

    def _reduce_function(self, fn: FunctionType) -> Any:
        if self._to_host and (ident := origin.host_ident(fn)) is not None:
            return arrival.original, (ident, fn.__qualname__)
        if goes_by_name(fn) and internals._should_pickle_by_reference(fn):
            return NotImplemented
        if fn.__code__ is _DISPATCHER.__code__:
            return _reduce_dispatcher(fn)
        reduced = reduce_function(fn, self._bases, self.suspects)
        values = reduced[2][2]["__globals__"].values()
        self.values.extend(value for value in values if not is_bulk(value))
        return reduced


def _registered(kind: type) -> Callable[[Any], Any] | None:
    """
    Return what a program has told multiprocessing to reduce objects of a type with.

    The standard library's pool asks it first; here it comes in for what does not pickle without.

    Source: multiprocessing.reduction, ``ForkingPickler.register``.
    """
    reduction = sys.modules.get("multiprocessing.reduction")
    if reduction is None:
        return None
    reduce: Any = reduction.ForkingPickler._extra_reducers.get(kind)
    # Its own are for its own way to other processes.
    if reduce is None or getattr(reduce, "__module__", "").startswith("multiprocessing."):
        return None
    return reduce  # type: ignore[no-any-return]


def _keep_slots(cls: type, namespace: dict[str, object], attributes: dict[str, object]) -> None:
    """
    Have a class made with the slots that it has here.

    cloudpickle leaves `__slots__` out of what a class is made with. Instances have a `__dict__` in
    the worker then, and what is in it finds no place when they come home. The names are those of
    the members, which have the class in front where they are private.
    """
    if "__slots__" not in vars(cls):
        return
    members = [name for name, value in vars(cls).items() if type(value) is MemberDescriptorType]
    both = [
        name
        for name in ("__dict__", "__weakref__")
        if type(vars(cls).get(name)) is GetSetDescriptorType
    ]
    namespace["__slots__"] = (*members, *both)
    for name in members:
        attributes.pop(name, None)


def _reduce_cached_property(made: functools.cached_property[Any]) -> tuple[Any, ...]:
    # Before Python 3.12 it has a lock, of which each process has its own.
    state = {name: value for name, value in vars(made).items() if name != "lock"}
    return functools.cached_property, (made.func,), state


def _reduce_cached(wrapper: Any) -> Any:
    if goes_by_name(wrapper):
        return NotImplemented
    return arrival.receive_cached, (wrapper.__wrapped__, wrapper.cache_parameters())


def _reduce_dispatcher(fn: Any) -> Any:
    """
    Reduce a generic function to its implementations: its closure has weak references.
    """
    attributes = {name: vars(fn)[name] for name in vars(fn).keys() - vars(_DISPATCHER)}
    ident = origin.function_ident(fn)
    made_of = (ident, origin.ship(fn, ident), fn.__name__)
    state = (dict(fn.registry), attributes)
    return arrival.receive_dispatcher, made_of, state, None, None, arrival.adopt_dispatcher_state


def _reduce_named(obj: Any) -> Any:
    """
    Reduce to what it is made of what would go as the name of a global of `__main__`.

    So do new types and parameters of generics, which stand in the annotations of a function, and
    the markers that some programs make for "no value".
    """
    variables = sys.modules["__main__"].__dict__
    module_name = getattr(obj, "__module__", None)
    if module_name not in MAIN or not any(obj is value for value in list(variables.values())):
        return NotImplemented
    name = obj.__reduce__()
    if not isinstance(name, str) or variables.get(name) is not obj:
        return NotImplemented
    kind = type(obj)
    if kind.__module__ == "typing" and not hasattr(obj, "__dict__"):
        # Made in C, and complete at once.
        return arrival.receive_named, (name, kind, (name,), _options(obj))
    return arrival.receive_named, (name, object.__new__, (kind,), {}), object.__getstate__(obj)


def _options(obj: Any) -> dict[str, Any]:
    """
    Give the keywords that an alias, or a parameter of generics, was made with.
    """
    names = ["value", "type_params", "bound", "covariant", "contravariant", "infer_variance"]
    if getattr(obj, "has_default", bool)():
        names.append("default")
    return {name: getattr(obj, f"__{name}__") for name in names if hasattr(obj, f"__{name}__")}


def _reduce_dataclass_mark(mark: Any) -> Any:
    return arrival.dataclass_mark, (mark.name,)


_REDUCERS: dict[type, Callable[[Any], Any]] = {
    **REDUCERS,
    _CachedFunction: _reduce_cached,
    functools.cached_property: _reduce_cached_property,
    dataclasses._FIELD_BASE: _reduce_dataclass_mark,  # type: ignore[attr-defined]  # private
}
# The types of which there is one object, by which pickle itself names them.
_SINGLE = (type(None), type(...), type(NotImplemented))
# What most attributes of a class are. If one of these does not pickle, there is a reason to tell.
_PICKLED_IN_PARTS = frozenset(
    {FunctionType, classmethod, staticmethod, property, functools.cached_property, str, int}
)


class IdentityPickler(cloudpickle.Pickler):  # type: ignore[misc]  # untyped base
    """Pickles for `version`, what the plain pickler cannot."""

    code: list[Any] | None = None

    def reducer_override(self, obj: Any) -> Any:
        """Reduce to an identity what has one."""
        reduced = by_identity(obj)
        if reduced is not NotImplemented and self.code is not None and id(obj) not in noted():
            self.code.append(obj)
        return reduced


_Apart = tuple[tuple[str, Forks | None], Snapshot, tuple[int, bytes]]
_apart: dict[tuple[str, str, bool], _Apart] = {}
_n_packed = itertools.count(1)


def _packed_apart(cls: type, ident: str, classes: list[type]) -> tuple[int, bytes] | None:
    """
    Give a class as bytes of its own, which the reader leaves alone if it has had them before.

    Of 140 us to pack one instance of a small dataclass, and 30 us to unpack it, all but 10 and 5
    went into the class.

    Returns:
        A number that tells these bytes from others, and the pickle; None if the class refers to
        something that may change unseen, so that it must be packed each time.
    """
    # By name: when a cell of a notebook is run again, another class has it.
    place = cls.__module__, cls.__qualname__, is_packing_for_forks()
    known, forks = _apart.get(place), readers()
    if known is not None:
        (of, for_whom), before, apart = known
        if of == ident and for_whom is forks and before.is_unchanged():
            return apart
    taken = take(cls)
    if taken is None:
        return None
    with BytesIO() as file:
        pickler = CloudPickler(file)
        # Classes that refer to each other would otherwise be packed inside each other without end.
        pickler._is_class_apart, pickler.classes = True, classes
        pickler.dump(cls)
        apart = next(_n_packed), file.getvalue()
    taken.was_packed()
    _apart[place] = (ident, forks), taken, apart
    return apart
