"""
Reduce functions to what `arrival` makes functions of, and pickle values that need no more.

For: functions of `__main__`, lambdas and closures, with the modules and plain values that they
refer to; and in a worker, instances of the host's classes on their way home. That is most of what
goes by value, and it goes without cloudpickle, which takes 25 ms to import.
Not for: classes that the other process does not have, and all that only cloudpickle can reduce.
Then `dumps_plainly` gives up, and `by_value` begins anew; so nothing here may have an effect that
lasts.
A changer must know: a value must mean the same to the receiver whichever of the two has packed it.
So `by_value` reduces functions, code, cells and modules by what stands here.
"""

from __future__ import annotations

import marshal
import sys
from _contextvars import ContextVar
from _pickle import Pickler
from io import BytesIO
from opcode import opmap
from types import CellType, CodeType, FunctionType, ModuleType

from webworker_executor.wire import arrival, origin, sent, stand_in, variable
from webworker_executor.wire.by_name import MAIN, goes_by_name, is_named, must_not_import
from webworker_executor.wire.forks import is_packing_for_forks, noted
from webworker_executor.wire.mapped import owner_of, reopening, view_of
from webworker_executor.wire.parts import parts_of
from webworker_executor.wire.struck import is_a_handlers
from webworker_executor.wire.version import version

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterable
    from pickle import PickleBuffer
    from typing import Any

    from webworker_executor.wire.parts import Key

__all__ = ["REDUCERS", "dumps_plainly", "global_names", "reduce_function"]

_OF_GLOBALS = (opmap["STORE_GLOBAL"], opmap["DELETE_GLOBAL"])
_LOAD_GLOBAL = opmap["LOAD_GLOBAL"]
_EXTENDED_ARG = opmap["EXTENDED_ARG"]

# Their objects are told apart by what they are, or are the same wherever they come.
_WITHOUT_IDENTITY = frozenset(
    (int, str, float, bool, type(None), type(...), FunctionType, type, ModuleType, type(len))
)

# So many are remembered: code that `exec` makes is another one each time.
_MOST_NAMES = 4096
_names: dict[CodeType, tuple[str, ...]] = {}


class _BeyondMe(Exception):
    """The value needs `by_value`."""


def dumps_plainly(
    value: object, buffer_callback: Callable[[PickleBuffer], bool] | None, *, to_host: bool
) -> bytes | None:
    """
    Pickle a value if that can be done without cloudpickle.

    Args:
        value: Anything.
        buffer_callback: As for `pickle.dumps`. It may have been called in vain.
        to_host: As for `codec.pack`.

    Returns:
        The pickle, or None.
    """
    with BytesIO() as file:
        try:
            _PlainPickler(file, buffer_callback, to_host=to_host).dump(value)
        except Exception as error:
            if is_a_handlers(error):
                raise
            # Whatever else it was, the pickler proper meets it again, and has the words for it.
            return None
        return file.getvalue()


class _PlainPickler(Pickler):
    def __init__(
        self,
        file: BytesIO,
        buffer_callback: Callable[[PickleBuffer], bool] | None,
        *,
        to_host: bool,
    ) -> None:
        super().__init__(file, protocol=5, buffer_callback=buffer_callback)
        self._to_host = to_host
        self._bases: dict[int, dict[str, object]] = {}
        self._noted = noted()

    def reducer_override(self, obj: Any) -> Any:
        """Reduce what goes by value, and refuse what is too much."""
        if self._noted and id(obj) in self._noted:
            return self._noted[id(obj)][1].__reduce__()
        kind = type(obj)
        if kind is FunctionType:
            if self._to_host and (ident := origin.host_ident(obj)) is not None:
                return arrival.original, (ident, obj.__qualname__)
            if goes_by_name(obj):
                return NotImplemented
            return reduce_function(obj, self._bases, [])
        if issubclass(kind, type):
            if self._to_host and (ident := origin.host_ident(obj)) is not None:
                return arrival.original, (ident, obj.__qualname__)
            if not goes_by_name(obj):
                raise _BeyondMe
            return NotImplemented
        if "_member_map_" in kind.__dict__ and self._to_host and origin.host_ident(kind):
            # The value may not be equal to that of the host's own member.
            return _reduce_member(obj)
        if kind.__module__ == "typing" or kind is type(_cached):
            # By its name, a type variable would not be found.
            raise _BeyondMe
        if not self._to_host and is_named(kind) and kind.__module__ in MAIN:
            raise _BeyondMe
        own = REDUCERS.get(kind)
        return NotImplemented if own is None else own(obj)


def _reduce_member(obj: Any) -> Any:
    # Here, because a worker that has a class of this kind has that module, too.
    from webworker_executor.wire.enumeration import reduce_member

    return reduce_member(obj)


def _cache() -> Any:
    from functools import cache

    return cache(len)


_cached = _cache()


# -- functions


def reduce_function(
    fn: FunctionType, bases: dict[int, dict[str, object]], suspects: list[tuple[str, str]]
) -> tuple[Any, ...]:
    """
    Reduce a function that goes by value.

    Args:
        fn: The function.
        bases: For each set of globals, by address, what the receiver is to begin them with.
        suspects: Where globals that do not pickle are noted, with the function that needs them.

    Returns:
        What `reducer_override` returns.

    Source: cloudpickle, `_dynamic_function_reduce`.
    """
    code, variables = fn.__code__, fn.__globals__
    used = {name: variables[name] for name in global_names(code) if name in variables}
    namespace = origin.namespace_of(variables)
    if namespace is not None:
        used = {name: reopened(value) for name, value in used.items()}
    slots: dict[str, Any] = {
        "__name__": fn.__name__,
        "__qualname__": fn.__qualname__,
        "__annotations__": fn.__annotations__,
        "__module__": fn.__module__,
        "__doc__": fn.__doc__,
        "__globals__": used,
        "__submodules__": _submodules(code, [*used.values(), *_contents(fn)]),
    }
    if namespace is not None:
        versions = slots["__versions__"] = {name: version(used[name]) for name in used}
        for name in [name for name in versions if versions[name] is None]:
            # It does not pickle.
            if is_packing_for_forks():
                del used[name], versions[name]
                continue
            used[name], versions[name] = _stood_in(used[name])
            if versions[name] is None:
                suspects.append((name, fn.__qualname__))
        sent.note(namespace, versions)
    base = bases.setdefault(id(variables), {})
    base.update(_base_of(variables))
    # Empty for now: what is in them may refer to the function.
    closure = None if fn.__closure__ is None else tuple(CellType() for _ in fn.__closure__)
    ident = origin.function_ident(fn)
    is_kept = origin.ship(fn, ident)
    made_of = (ident, is_kept, namespace, code, base, None, None, closure)
    parts, part_versions = parts_of(fn), {}
    if namespace is not None:
        _share(parts, variables, namespace, base)
        if is_kept:
            # Of one that is made anew at each arrival nothing lasts.
            part_versions = _settle_versions(parts)
    state = (parts, part_versions, slots)
    return arrival.receive_function, made_of, state, None, None, arrival.adopt_function_state


def reopened(value: object) -> object:
    """
    Return what goes in the place of a mapped file, and for forks of memory that they have
    inherited; anything else as it is.
    """
    again = view_of(value) if is_packing_for_forks() else reopening(value)
    return value if again is None else again


def _settle_versions(parts: dict[Key, Any]) -> dict[Key, object]:
    """Tell the content of each part, and put something in the place of what does not pickle."""
    versions: dict[Key, object] = {}
    for key, value in parts.items():
        if type(value) is GlobalPart:
            versions[key] = value.token
        elif not is_bulk(value):
            versions[key] = version(value)
            if versions[key] is None:
                parts[key], versions[key] = _stood_in(value)
    return versions


def _stood_in(value: object) -> tuple[object, object]:
    """Return what goes in the place of a value that does not pickle, and what tells its content."""
    own = stand_in.stand_in_for(value)
    return (value, None) if own is None else (own, stand_in.VERSION)


def _base_of(variables: dict[str, Any]) -> dict[str, object]:
    names = ("__package__", "__name__", "__path__", "__file__")
    return {name: variables[name] for name in names if name in variables}


def share_attributes(cls: type, attributes: dict[str, Any]) -> None:
    """
    Have those attributes of a class that are globals of its module be these in the worker, too.

    Args:
        cls: The class, which goes by value.
        attributes: What of it is packed; what is a global gets something in its place.
    """
    variables = getattr(sys.modules.get(cls.__module__), "__dict__", {})
    namespace = origin.namespace_of(variables)
    if namespace is not None:
        _share(attributes, variables, namespace, _base_of(variables))


def _share(
    parts: dict[Any, Any], variables: dict[str, Any], namespace: str, base: dict[str, object]
) -> None:
    """Have what is a global as well, such as a marker for "no value", be that one there, too."""
    own = {key: value for key, value in parts.items() if type(value) not in _WITHOUT_IDENTITY}
    if not own:
        return
    names = {id(value): name for name, value in list(variables.items())}
    for key, value in own.items():
        name = names.get(id(value))
        if name is not None and (owner_of(value) is not None or not is_bulk(value)):
            part = parts[key] = GlobalPart(namespace, base, name, reopened(value))
            sent.note(namespace, {name: part.token})
        else:
            parts[key] = reopened(value)


def is_bulk(value: object) -> bool:
    """Whether it costs more to tell that a value has not changed than it is worth."""
    return isinstance(value, bytes | bytearray) or hasattr(type(value), "__array__")


class GlobalPart:
    """
    Stands for a part of a function or class that is a global of its module, and packs as that.

    Args:
        namespace: Of the module.
        base: What the receiver is to begin the module's globals with.
        name: Of the global.
        value: What it holds.

    Attributes:
        token: What tells its content; None if nothing does.
    """

    def __init__(self, namespace: str, base: dict[str, object], name: str, value: object) -> None:
        self._place = (namespace, base, name)
        self._value, self.token = value, version(value)
        self._is_inherited = self.token is None and is_packing_for_forks()
        if self.token is None:
            self._value, self.token = _stood_in(value)

    def __reduce__(self) -> tuple[Any, ...]:
        if self._is_inherited:
            return arrival.inherited_global, self._place
        return arrival.receive_global, (*self._place, self.token, self._value)


def global_names(code: CodeType) -> tuple[str, ...]:
    """
    List the global variables that a code object, or one inside it, uses.

    Args:
        code: The code of a function.

    Source: cloudpickle, `_extract_code_globals`, which reads the code by `dis`: 8 ms to import.
    """
    known = _names.get(code)
    if known is None:
        found: dict[str, None] = {}
        extension = 0
        instructions = code.co_code
        for index in range(0, len(instructions), 2):
            operation, argument = instructions[index], instructions[index + 1] | extension
            extension = argument << 8 if operation == _EXTENDED_ARG else 0
            if operation == _LOAD_GLOBAL:
                # The lowest bit says what else is pushed.
                found[code.co_names[argument >> 1]] = None
            elif operation in _OF_GLOBALS:
                found[code.co_names[argument]] = None
        for constant in code.co_consts:
            if type(constant) is CodeType:
                found.update(dict.fromkeys(global_names(constant)))
        if len(_names) >= _MOST_NAMES:
            _names.clear()
        known = _names[code] = tuple(found)
    return known


def _contents(fn: FunctionType) -> list[object]:
    values = []
    for cell in fn.__closure__ or ():
        try:
            values.append(cell.cell_contents)
        except ValueError:
            continue
    return values


def _submodules(code: CodeType, values: Iterable[object]) -> list[ModuleType]:
    # Of `import package.module` a function has the package; the receiver must import the module.
    names = set(code.co_names)
    found = []
    for value in values:
        if type(value) is ModuleType and value.__package__:
            prefix = f"{value.__name__}."
            for name, module in list(sys.modules.items()):
                if name.startswith(prefix) and names.issuperset(name[len(prefix) :].split(".")):
                    found.append(module)
    return found


# -- what they are made of, and refer to


def _reduce_code(code: CodeType) -> Any:
    try:
        return arrival.receive_code, (arrival.MAGIC_NUMBER, marshal.dumps(code))
    except ValueError:
        # Somebody has put a constant into it that no compiler makes.
        return NotImplemented


def _reduce_cell(cell: CellType) -> Any:
    try:
        return arrival.make_cell, (cell.cell_contents,)
    except ValueError:
        return arrival.make_cell, ()


def _reduce_module(module: ModuleType) -> Any:
    if module.__name__ not in sys.modules or must_not_import(module.__name__):
        return NotImplemented
    return arrival.imported_module, (module.__name__,)


REDUCERS: dict[type, Callable[[Any], Any]] = {
    ContextVar: variable.reduce_variable,
    CodeType: _reduce_code,
    CellType: _reduce_cell,
    ModuleType: _reduce_module,
}
"""By exact type. NotImplemented means that another must do it."""
