"""
Rebuild functions and classes that came by value.

For: what `by_value` wrote. Its bytes name the functions below, so a process that only receives
imports this module and never cloudpickle, whose import would be half the time of a first task.
Not for: packing; not for enumerations, which are `enumeration`'s; and not for the rarer things
(loggers, modules made at run time), whose bytes go on naming cloudpickle's own functions.
A changer must know: a worker imports this when it meets the first function of `__main__`, so it
imports the least. Both processes run the same version of this package, so what stands here may
change, but never its meaning within one run. Who is whose original is decided in `origin`.
"""

from __future__ import annotations

import sys
from _frozen_importlib_external import MAGIC_NUMBER
from marshal import loads

from webworker_executor.wire import codec, origin
from webworker_executor.wire.parts import set_parts

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from types import CellType, CodeType, FunctionType, ModuleType
    from typing import Any

    from webworker_executor.wire.parts import Key

__all__ = [
    "MAGIC_NUMBER",
    "adopt_class_state",
    "adopt_dispatcher_state",
    "adopt_function_state",
    "builtin_type",
    "dataclass_mark",
    "imported_module",
    "inherited_global",
    "make_cell",
    "make_class",
    "make_own",
    "original",
    "receive_cached",
    "receive_class",
    "receive_code",
    "receive_dispatcher",
    "receive_function",
    "receive_global",
    "receive_named",
    "receive_packed_class",
]

_FUNCTION: Any = type(lambda: None)
_CELL: type[CellType] = type((lambda value: lambda: value)(0).__closure__[0])  # type: ignore[index]  # it has one

# By the ident of a class, the number of the bytes that came last.
_packings: dict[str, int] = {}
# The wrapper of a function that came here, so that its cache lasts from task to task.
_cached: dict[Callable[..., Any] | str, Any] = {}


def original(ident: str, name: str) -> object:
    """
    Give the host's own object for one that has come back to it.

    Raises:
        LookupError: If this process has never sent such an object.
    """
    return origin.shipped(ident, name)


# -- functions


def receive_code(magic: bytes, data: bytes) -> CodeType:
    """
    Read a code object.

    Args:
        magic: What tells the sender's byte code, as in the head of a ``.pyc`` file.
        data: The code, marshalled. That takes a third of the time of its eighteen parts, and no
            import.

    Raises:
        ImportError: If this interpreter would not understand the code. To run it would be the end
            of the process.

    Source: `importlib.util.MAGIC_NUMBER`.
    """
    if magic != MAGIC_NUMBER:
        raise ImportError(
            f"a function came by value from another version of Python, whose byte code "
            f"{sys.implementation.cache_tag} cannot run. Put it into a module that both can import."
        )
    code: CodeType = loads(data)
    return code


def receive_function(
    ident: str,
    is_kept: bool,
    namespace: str | None,
    code: CodeType,
    base: dict[str, object],
    *rest: Any,
) -> FunctionType:
    """
    Give this process's own function if it is one that has come home, or make it, without its state.
    """
    own = origin.born_here(ident)
    if own is not None:
        return own
    before = origin.settled(ident)
    if before is not None and before.__code__ == code:
        # Under its name there must be this very function, or it could not be pickled by name.
        return before
    variables = base if namespace is None else origin.variables(namespace, base)
    inherited = origin.inherited(variables, code)
    if inherited is not None:
        # With what an initializer has set on it.
        origin.receive_function(inherited, ident, is_kept)
        return inherited
    variables["__builtins__"] = __builtins__
    fn: FunctionType = _FUNCTION(code, variables, *rest)
    origin.receive_function(fn, ident, is_kept)
    return fn


def adopt_function_state(
    fn: FunctionType, state: tuple[dict[Key, Any], dict[Key, object], dict[str, Any]]
) -> None:
    """
    Set the state of a function that has just been made.

    A global, a default, an attribute is set only if the sender has changed it since it was last
    sent here. So an initializer's assignment, a cache, a counter last in the worker as they would
    in a module that it had imported; and yet a helper that was redefined in a notebook arrives.

    Source: cloudpickle, whose slots these are.
    """
    if origin.is_born_here(fn):
        return
    parts, part_versions, slots = state
    arrived = slots.pop("__globals__")
    # They were there to be imported.
    del slots["__submodules__"]
    versions = slots.pop("__versions__", None)
    variables = fn.__globals__
    variables.update(
        arrived if versions is None else origin.changed(variables, arrived, versions),
        __builtins__=__builtins__,
    )
    set_parts(fn, parts, part_versions)
    for name, value in slots.items():
        setattr(fn, name, value)
    origin.settle(fn)
    _note_half_imported(fn.__module__)


def receive_global(
    namespace: str, base: dict[str, object], name: str, token: object, value: object
) -> object:
    """
    Give a global, which is set if the sender has changed it since it was last sent here.
    """
    variables = origin.variables(namespace, base)
    variables.update(origin.changed(variables, {name: value}, {name: token}))
    return variables.get(name, value)


def inherited_global(namespace: str, base: dict[str, object], name: str) -> object:
    """
    Give a global that does not pickle, in a worker that was forked with it.
    """
    return origin.variables(namespace, base)[name]


def make_cell(*contents: object) -> CellType:
    """
    Make a cell, empty or with a value.
    """
    return _CELL(*contents)


def make_own(module: str, name: str, arguments: tuple[Any, ...]) -> object:
    """
    Make what every process has one of its own of, such as a lock.
    """
    from importlib import import_module

    return getattr(import_module(module), name)(*arguments)


def receive_cached(wrapped: Callable[..., Any], parameters: dict[str, Any]) -> object:
    """
    Wrap a function that came by value in a cache of this process.

    Args:
        wrapped: The function.
        parameters: What `functools.lru_cache` was given.

    Returns:
        The wrapper; the same one for the same function, with what it has cached. Of a function
        with a closure it is another one each time: what is in that may have changed meanwhile, and
        each would be kept for ever.
    """
    from functools import lru_cache

    if not isinstance(wrapped, _FUNCTION):
        return _cached.setdefault(wrapped, lru_cache(**parameters)(wrapped))
    if wrapped.__closure__ is not None:
        return lru_cache(**parameters)(wrapped)
    # Made anew each time it comes.
    ident = origin.function_ident(wrapped)
    return _cached.setdefault(ident, lru_cache(**parameters)(wrapped))


def receive_dispatcher(ident: str, is_kept: bool, name: str) -> Callable[..., Any]:
    """
    Give the generic function that is known by the ident, or make it, without implementations.
    """
    known = origin.born_here(ident) or origin.settled(ident)
    if known is not None:
        return known
    from functools import singledispatch

    def for_objects(value: object) -> None: ...

    # What it is called when it is called without arguments.
    for_objects.__name__ = name
    fn: Any = singledispatch(for_objects)
    origin.receive_function(fn, ident, is_kept)
    return fn  # type: ignore[no-any-return]  # a function, whatever singledispatch is said to return


def adopt_dispatcher_state(
    fn: Any, state: tuple[dict[type, Callable[..., Any]], dict[str, object]]
) -> None:
    """
    Register the implementations of a generic function, also those that are new.

    Source: `functools.singledispatch`.
    """
    if origin.is_born_here(fn):
        return
    from functools import update_wrapper

    implementations, attributes = state
    for kind, implementation in implementations.items():
        fn.register(kind, implementation)
    update_wrapper(fn, implementations[object])
    fn.__dict__.update(attributes)
    origin.settle(fn)


def receive_named(
    name: str, make: Callable[..., object], args: tuple[Any, ...], kwargs: dict[str, Any]
) -> object:
    """
    Give the object that a global of the host's `__main__` names, or make it, without its state.
    """
    own = sys.modules["__main__"].__dict__ if codec.is_stand_in else {"__name__": "__main__"}
    if name not in own:
        # The kinds of `typing` ask where they are made, and go home under that module's name.
        scope = {"make": make, "args": args, "kwargs": kwargs}
        own[name] = eval("make(*args, **kwargs)", own, scope)
    return own[name]


def _note_half_imported(module_name: str | None) -> None:
    if module_name and module_name != "__main__" and module_name not in sys.modules:
        codec.half_imported.add(module_name)


# -- classes


def receive_class(
    ident: str, is_kept: bool, make: Callable[..., type], args: tuple[Any, ...]
) -> type:
    """
    Give the class that is known by the ident, or make it, without its attributes.
    """
    known = origin.class_known_as(ident)
    if known is not None:
        return known
    cls = make(*args)
    origin.receive_class(cls, ident, is_kept)
    _note_half_imported(cls.__module__)
    return cls


def make_class(
    kind: Callable[..., type], name: str, bases: tuple[type, ...], namespace: Mapping[str, object]
) -> type:
    """
    Make a class that has no attributes yet.

    Args:
        kind: Its metaclass.
        name: Its name.
        bases: Its bases, as they stood in the class statement.
        namespace: What must be there from the first.
    """
    from types import new_class

    try:
        return new_class(
            name, bases, {"metaclass": kind}, lambda variables: variables.update(namespace)
        )
    except Exception as error:
        # A hook that wants a keyword of the class statement, or an attribute.
        from webworker_executor.wire.skeleton import make_quietly

        try:
            return make_quietly(kind, name, bases, namespace)  # type: ignore[arg-type,no-any-return]  # a class
        except TypeError:
            error.add_note(
                f"The class {name} goes by value, and cannot be made again from what is known of "
                "it. Put it into a module that the worker can import."
            )
        raise


def receive_packed_class(ident: str, number: int, payload: bytes) -> object:
    """
    Give the class that is known by the ident, or unpack it.

    Args:
        ident: Of the class.
        number: Of these bytes. Others bring the globals that its methods read now, and leave a
            class alone that is known.
        payload: The class.
    """
    known = origin.class_known_as(ident)
    if known is not None and (origin.is_unfinished(known) or _packings.get(ident) == number):
        return known
    cls = codec.unpack(payload)
    _packings[ident] = number
    return cls


def adopt_class_state(cls: Any, state: tuple[dict[str, Any], dict[str, object]]) -> None:
    """
    Set the attributes of a class that has just been made, and never again.

    cloudpickle sets them at each arrival, which undoes what a task has counted or cached on its
    class, and would even overwrite the host's class when an instance comes home.

    Source: cloudpickle, whose attributes these are.
    """
    if not origin.is_unfinished(cls):
        return
    attributes = state[0]
    registered = attributes.pop("_abc_impl", ())
    # Last, because Python 3.13 deletes it when the module is set.
    line = attributes.pop("__firstlineno__", None)
    for name, value in attributes.items():
        setattr(cls, name, value)
    if line is not None:
        cls.__firstlineno__ = line
    for subclass in registered:
        cls.register(subclass)
    origin.finish(cls)


def dataclass_mark(name: str) -> object:
    """
    Give one of the objects by which a data class tells its kinds of fields apart.
    """
    import dataclasses

    return vars(dataclasses)[name]


# -- what they refer to


def builtin_type(name: str) -> object:
    """
    Give a type of the interpreter that only the module `types` has a name for.
    """
    import types

    return getattr(types, name)


def imported_module(name: str) -> ModuleType:
    """
    Give a module, imported if need be.
    """
    # Of a dotted name, __import__ gives the package.
    __import__(name)
    return sys.modules[name]
