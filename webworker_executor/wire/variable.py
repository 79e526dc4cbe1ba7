"""
Carry context variables to another process.

For: naming a `ContextVar` by the module attribute that holds it, and setting the caller's values
around a call.
Not for: variables that no module holds, such as those inside C extensions; they are skipped.
A changer must know: `capture` runs for every submitted task, and almost always finds nothing. Keep
that case at one C call and one test.
"""

from __future__ import annotations

import sys
from _contextvars import Context, ContextVar, copy_context
from _pickle import dumps, loads

from webworker_executor.wire import codec
from webworker_executor.wire.by_name import MAIN, is_being_imported, names_unreachable

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from typing import Any

    Carried = list[tuple[str, str, str, bytes]]

_MAX_VALUE_NBYTES = 65536

_places: dict[ContextVar[Any], tuple[str, str] | None] = {}
_stand_ins: dict[tuple[str, str], ContextVar[Any]] = {}


def place_of(variable: ContextVar[Any]) -> tuple[str, str] | None:
    """
    Find the module and the attribute that hold a context variable.

    Args:
        variable: Any context variable.

    Returns:
        The names of the module and its attribute, or None. `__main__` only if no other module has
        it, since that one the other process cannot import. Both answers are remembered.
    """
    try:
        return _places[variable]
    except KeyError:
        pass
    for place, stand_in in _stand_ins.items():
        if stand_in is variable:
            return place
    found = None
    for module_name, module in list(sys.modules.items()):
        for attribute, value in list(getattr(module, "__dict__", {}).items()):
            if value is variable and (found is None or found[0] in MAIN):
                found = (module_name, attribute)
    if found is not None and found[0] in MAIN:
        found = ("__main__", found[1])
    _places[variable] = found
    return found


def _name_there(module_name: str) -> str:
    """Give the name that tells the other process of a variable's module."""
    if module_name == "__main__":
        return ""
    # It would run the very statement that is submitting.
    return f"<{module_name}>" if is_being_imported(module_name) else module_name


def context_variable(
    module_name: str, attribute: str, name: str, *default: object
) -> ContextVar[Any]:
    """
    Give the context variable that stands here for the one of another process.

    Args:
        module_name: Where it is there. Empty for `__main__`; in angle brackets if it must not be
            imported.
        attribute: The attribute that holds it.
        name: Its own name.
        default: Its default, if it has one and may have to be made here.

    Returns:
        The module's own variable if the module can be imported, or else one that stands for it from
        now on.
    """
    if module_name.startswith("<"):
        module_name = module_name[1:-1]
        found = getattr(sys.modules.get(module_name), attribute, None)
        if type(found) is ContextVar:
            return found
    elif module_name:
        try:
            __import__(module_name)
            found = getattr(sys.modules[module_name], attribute)
            if type(found) is ContextVar:
                return found
        except (ImportError, AttributeError):
            # Not here: a module made at run time, or one that only the host has.
            pass
    elif codec.is_fork:
        # A forked worker has the host's `__main__`, and the functions in it refer to this one.
        found = getattr(sys.modules["__main__"], attribute, None)
        if type(found) is ContextVar:
            return found
    place = (module_name or "__main__", attribute)
    known = _stand_ins.get(place)
    if known is None:
        known = ContextVar(name, default=default[0]) if default else ContextVar(name)
        known = _stand_ins.setdefault(place, known)
    return known


def reduce_variable(variable: ContextVar[Any]) -> tuple[Callable[..., Any], tuple[object, ...]]:
    """
    Reduce a context variable to its name.

    Raises:
        TypeError: If no module holds it.
    """
    place = place_of(variable)
    if place is None:
        message = (
            f"cannot pickle the context variable {variable.name!r}: no module has it as an "
            f"attribute, so the other process could not find it. Make it a global of a module."
        )
        raise TypeError(message)
    module_name, attribute = place
    if module_name != "__main__":
        return context_variable, (_name_there(module_name), attribute, variable.name)
    named = ("", attribute, variable.name)
    try:
        return context_variable, (*named, Context().run(variable.get))
    except LookupError:
        return context_variable, named


def capture() -> Carried | None:
    """
    Collect the caller's context variables that can be carried.

    Returns:
        For each its module, attribute and name, and the pickle of its value; None if there are
        none. What no module holds, what does not pickle, what belongs to `__main__` or to a module
        that the other process must not import, and what is larger than 64 KiB is left out.
    """
    context = copy_context()
    if not context:
        return None
    return _collect(context) or None


def _collect(context: Context) -> Carried:
    carried = []
    for variable, value in context.items():
        place = place_of(variable)
        if place is None:
            continue
        try:
            payload = dumps(value, 5)
        except Exception:
            # A user's hook may raise anything, and nobody asked for this value.
            continue
        if len(payload) <= _MAX_VALUE_NBYTES and not _names_what_is_not_there(payload):
            carried.append((_name_there(place[0]), place[1], variable.name, payload))
    return carried


def _names_what_is_not_there(payload: bytes) -> bool:
    # STACK_GLOBAL is in all that names anything else.
    return b"__main__" in payload or (b"\x93" in payload and names_unreachable(payload))


def run_in_context(
    context: Carried,
    fn: Callable[..., Any],
    args: Sequence[Any],
    kwargs: Mapping[str, Any],
    finish: Callable[[object], object],
) -> object:
    """
    Call a function with the caller's context variables set.

    It runs in a copy of this thread's context: what an initializer has set is seen, and what the
    call sets is gone after it.

    Args:
        context: What `capture` gave in the other process.
        fn: What to call.
        args: Its positional arguments.
        kwargs: Its keyword arguments.
        finish: Called with what it returns, which may only have begun: a coroutine.

    Returns:
        What that returns.

    Raises:
        BaseException: What one of the two raises.
    """
    return copy_context().run(_call, context, fn, args, kwargs, finish)


def _call(
    context: Carried,
    fn: Callable[..., Any],
    args: Sequence[Any],
    kwargs: Mapping[str, Any],
    finish: Callable[[object], object],
) -> object:
    for module_name, attribute, name, payload in context:
        try:
            context_variable(module_name, attribute, name).set(loads(payload))
        except Exception:
            # A value that cannot be had here is as one that nobody set.
            continue
    return finish(fn(*args, **kwargs))
