"""
Remember which functions and classes went out by value, and which came in.

For: giving the host its own objects back, and giving the functions of one module one set of globals
in a worker.
Not for: pickling, which is `by_value`'s.
A changer must know: one process can be both, a worker to its host and a host to its own workers, so
every table is about one direction:

- *shipped*: what this process sent by value and may get back by reference. Strong references, or
  the reference might dangle, for a task or an actor may return what another function or class has
  the name of by now; therefore only what was its module's when it was sent.
- *received*: what came by value. If the sender keeps the original, it may go back by reference, but
  only to the host. Going down or sideways it is sent in full, because the reader may never have
  seen it; its ident still lets the reader find the one that it has.
"""

from __future__ import annotations

import sys
import weakref
from _random import Random

from webworker_executor.wire import codec
from webworker_executor.wire.by_name import MAIN, is_module_level, is_unreachable
from webworker_executor.wire.generations import Generations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from types import CodeType, FunctionType
    from typing import Any


def _unheard_of() -> str:
    # What a uuid is, without the module of that name, which imports enum. Each generator is seeded
    # by the kernel, so a forked copy of the process goes its own way.
    return f"{Random().getrandbits(128):032x}"


_PROCESS = [_unheard_of()]
_serial_of: weakref.WeakKeyDictionary[object, str] = weakref.WeakKeyDictionary()

_shipped: dict[str, object] = {}
_received: weakref.WeakKeyDictionary[object, tuple[str, bool]] = weakref.WeakKeyDictionary()
_classes: weakref.WeakValueDictionary[str, type] = weakref.WeakValueDictionary()
# A class of the host's module would be there as long as the module. Here nothing else may refer to
# it between two tasks, and with it would go what the tasks have set on it.
_lasting = Generations()
_unfinished: weakref.WeakSet[type] = weakref.WeakSet()
# Those that stand in `__main__`, which keeps them.
_settled: weakref.WeakValueDictionary[str, FunctionType] = weakref.WeakValueDictionary()

_variables: dict[str, dict[str, object]] = {}
_namespaces: dict[int, str] = {}
_versions: dict[str, dict[str, object]] = {}
_ABSENT = object()
_FUNCTION: Any = type(lambda: None)
_UNCHANGING = (int, float, complex, str, bytes, tuple, frozenset, type, type(len), type(None))


def after_fork() -> None:
    """
    Become another process than the one whose memory this is a copy of.

    The module `__main__` is here, so what the host sends of it gets these globals, as in a forked
    worker of the stdlib.
    """
    namespace = f"{_PROCESS[0]}:__main__"
    _PROCESS[0] = _unheard_of()
    # What the host had sent before is the host's, and here it is as if it had been received.
    for ident, obj in list(_shipped.items()):
        _received[obj] = (ident, True)
        if isinstance(obj, type):
            _lasting.add(ident, obj)
    _shipped.clear()
    _stand_in(namespace, getattr(sys.modules.get("__main__"), "__dict__", {}))


def _stand_in(namespace: str, variables: dict[str, object]) -> dict[str, object]:
    _variables[namespace] = variables
    _namespaces[id(variables)] = namespace
    _versions[namespace] = {}
    return variables


def serial(obj: object) -> str:
    """
    Give a function or class a name that no other object in any process has or will have.
    """
    known = _serial_of.get(obj)
    if known is None:
        # setdefault, because two threads may pack the same function for the first time.
        known = _serial_of.setdefault(obj, _unheard_of())
    return known


def function_ident(fn: FunctionType) -> str:
    """
    Give the ident under which a function is known wherever it goes.
    """
    received = _received.get(fn)
    return serial(fn) if received is None else received[0]


def ship(obj: FunctionType | type, ident: str) -> bool:
    """
    Note that an object goes out by value.

    Args:
        obj: A function or class.
        ident: How the other process will call it when it refers to it.

    Returns:
        Whether it is kept here, so that it may come back by reference.
    """
    received = _received.get(obj)
    is_kept = received[1] if received is not None else is_module_level(obj)
    if is_kept:
        _shipped[ident] = obj
    return is_kept


def shipped(ident: str, name: str) -> object:
    """
    Find an object that was shipped.

    Raises:
        LookupError: If it was not.
    """
    try:
        return _shipped[ident]
    except KeyError:
        message = (
            f"{name!r} came back by reference to a process that never sent it. Bytes meant "
            f"for a host are being read elsewhere; pack the value without to_host."
        )
        raise LookupError(message) from None


def born_here(ident: str) -> FunctionType | None:
    """
    Find a function of this process by its ident, if it is one and was kept.
    """
    found = _shipped.get(ident)
    if found is None or found in _received:
        return None
    return found  # type: ignore[return-value]  # functions have idents of their own


def is_born_here(fn: FunctionType) -> bool:
    """
    Tell whether a function is this process's own, not one that came by value.
    """
    return fn not in _received


def host_ident(obj: object) -> str | None:
    """
    Give the ident under which the host keeps the original of an object, or None.
    """
    received = _received.get(obj)
    return received[0] if received is not None and received[1] else None


def receive_function(fn: FunctionType, ident: str, is_kept: bool) -> None:
    """
    Note that a function has come by value.
    """
    _received[fn] = (ident, is_kept)


def receive_class(cls: type, ident: str, is_kept: bool) -> None:
    """
    Note that a class has come by value and has no attributes yet.
    """
    _unfinished.add(cls)
    _received[cls] = (ident, is_kept)
    _classes[ident] = cls
    if is_kept:
        _lasting.add(ident, cls)
    # After our own table: whoever imports cloudpickle meanwhile calls `tell_cloudpickle` then.
    _tell(ident, cls)


def class_known_as(ident: str) -> type | None:
    """
    Find a class by its ident, if it came here or went out from here.
    """
    known = _classes.get(ident)
    if known is None:
        # One of this process's own.
        known = getattr(_cloudpickle(), "_DYNAMIC_CLASS_TRACKER_BY_ID", _classes).get(ident)
    return known


def tell_cloudpickle() -> None:
    """
    Let cloudpickle, which has just been imported, know the classes that came before it.
    """
    for ident, cls in list(_classes.items()):
        _tell(ident, cls)


def _tell(ident: str, cls: type) -> None:
    track = getattr(_cloudpickle(), "_lookup_class_or_track", None)
    if track is not None:
        track(ident, cls)


def _cloudpickle() -> object:
    return sys.modules.get("cloudpickle.cloudpickle")


def is_unfinished(cls: type) -> bool:
    """
    Tell whether a class that came by value still waits for its attributes.
    """
    return cls in _unfinished


def finish(cls: type) -> None:
    """
    Note that a class has its attributes.
    """
    _unfinished.discard(cls)
    settle(cls)


def settle(obj: FunctionType | type) -> None:
    """
    Let what has come from the host's `__main__` be found in this one, under the name it has there.

    In a worker of the stdlib the program's file is imported, so a task may pickle what stands in
    it: for a file, a queue, processes of its own. The plain pickler looks the name up. What the
    worker has put under the name itself, an initializer say, stays.

    Args:
        obj: A function or class that is complete.
    """
    ident, is_kept = _received.get(obj, ("", False))
    if not (codec.is_stand_in and is_kept and obj.__module__ == "__main__"):
        return
    own = sys.modules["__main__"].__dict__
    name = obj.__qualname__
    if "." in name or (name in own and not _is_superseded(own[name], name)):
        return
    own[name] = obj
    if not isinstance(obj, type):
        _settled[ident] = obj


def _is_superseded(value: object, name: str) -> bool:
    """
    Tell whether a value is what the host had under that name, not what a worker has put there.
    """
    if not isinstance(value, _FUNCTION | type) or value.__qualname__ != name:
        return False
    is_inherited = value is codec.at_fork.get(name) and not codec.is_initialized
    return is_inherited or _received.get(value, ("", False))[1]


def settled(ident: str) -> FunctionType | None:
    """
    Find a function that came before and stands in `__main__`, by its ident.
    """
    return _settled.get(ident)


def inherited(variables: dict[str, object], code: CodeType) -> FunctionType | None:
    """
    Find the function that a forked worker has of the host's `__main__`, if it is still that one.

    Args:
        variables: Its globals.
        code: Its code.
    """
    found: Any = codec.at_fork.get(code.co_qualname)
    # Under that name there may be a function of another module, or none.
    if type(found) is not _FUNCTION or found.__globals__ is not variables:
        return None
    return found if found.__code__ == code else None


def namespace_of(variables: dict[str, Any]) -> str | None:
    """
    Name the globals of a function or class that goes by value, if others share them.

    Those of a module that is importable are left alone: what the worker imports itself is the
    better copy, and a lambda there takes a snapshot, as cloudpickle does.
    """
    known = _namespaces.get(id(variables))
    if known is not None:
        return known
    name = variables.get("__name__")
    module = sys.modules.get(name) if isinstance(name, str) else None
    if variables is not getattr(module, "__dict__", None):
        return None
    return f"{_PROCESS[0]}:{name}" if name in MAIN or is_unreachable(name) else None


def variables(namespace: str, base: dict[str, object]) -> dict[str, object]:
    """
    Give the globals that stand here for those of another process's module.

    Args:
        namespace: The name that the sender gave.
        base: What to begin with: `__name__`, `__file__`.

    Returns:
        The same dictionary each time; for this process's own module a new one, for nothing that
        another process sends may change what the user's module holds.
    """
    if namespace.startswith(_PROCESS[0]):
        return base
    known = _variables.get(namespace)
    if known is not None:
        return known
    main = sys.modules["__main__"].__dict__
    if codec.is_stand_in and namespace.endswith(":__main__") and id(main) not in _namespaces:
        # The host had sent nothing by value before, so this is the first time that it names its
        # `__main__`.
        main.update(base)
        return _stand_in(namespace, main)
    return _stand_in(namespace, base)


def changed(
    own: dict[str, object], arrived: dict[str, object], versions: dict[str, object]
) -> dict[str, object]:
    """
    Select the globals that the sender has changed since it last sent them.

    What the initializer has put under a name, before the sender named that, stays: it may do so by
    `globals()` or in `__main__`, where nothing tells which names it needs.

    Args:
        own: The globals as they are here.
        arrived: The globals as they were there.
        versions: For each of these, what tells its content; None if nothing does.

    Returns:
        Those to be set.
    """
    namespace = _namespaces.get(id(own))
    if namespace is None:
        return arrived
    seen = _versions[namespace]
    is_inherited = own is sys.modules["__main__"].__dict__ and codec.is_fork
    selected = {}
    for name, value in arrived.items():
        token = versions[name]
        if token is not None and seen.get(name, _ABSENT) == token:
            continue
        if name in seen:
            is_kept = False
        elif is_inherited and name in codec.at_fork:
            is_kept = _is_inherited_still(codec.at_fork[name], token)
        else:
            is_kept = (
                name in codec.names_of_initializer
                and name in own
                # These stand in every module.
                and name[:2] != "__"
                and not _is_superseded(own[name], name)
            )
        if not is_kept:
            selected[name] = value
        seen[name] = token
    return selected


def _is_inherited_still(inherited: object, token: object) -> bool:
    """
    Tell whether the host has what it had when it was forked, so that the worker's own counts.

    The worker's initializer, if there is one, may have changed the object itself. Then nothing
    tells which of the two did, and the one that was asked to is more likely: the initializer.
    """
    from webworker_executor.wire import forks
    from webworker_executor.wire.version import version

    mine = forks.of_this_process()
    if token == forks.packing_for_forks(version, inherited, forks=mine):
        return True
    return codec.is_initialized and not isinstance(inherited, _UNCHANGING)
