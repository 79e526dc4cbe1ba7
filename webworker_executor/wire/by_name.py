"""
Tell what the other process can have by name.

For: `definition` and `by_value`, which must not send by value what a worker can import, nor make it
import what it must not.
Not for: anything that pickles.
A changer must know: workers import this module at their start. The plain pickler decides for itself
what it sends by name; what it has named is looked for in its bytes.
"""

from __future__ import annotations

import _frozen_importlib
import sys

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping
    from typing import Any

__all__ = [
    "MAIN",
    "after_fork",
    "goes_by_name",
    "is_being_imported",
    "is_lost",
    "is_module_level",
    "is_named",
    "is_unreachable",
    "must_go_by_value",
    "must_not_import",
    "names_unreachable",
    "unreachable_names",
]

MAIN = ("__main__", "__mp_main__")
"""The module that only this process has, and what a child of multiprocessing calls its parent's."""

_BUILTIN = type(len)
_MODULE = type(sys)

unreachable_names: set[bytes] = set()
"""Names of modules that are here and that the other process would not find, as a pickle has them.
Few programs have any."""

# What finds these in a pickle, and for how many it was made.
_pattern: tuple[int, Any] = (0, None)
# By name the locks of the modules that are being imported: mostly none. A Python without this table
# has all modules asked.
_importing: Mapping[str, object] = getattr(_frozen_importlib, "_module_locks", sys.modules)
# The latest module that has been looked at, behind which whatever comes stands in the table; and
# where modules were searched for.
_looked: tuple[object, list[str]] = (None, [])
# What was found out of a module, by its name: to look for it takes as long as ten calls.
_known: dict[str, tuple[object, bool]] = {}
# Whether this process was forked from the one that it answers, and has its modules.
_is_fork = False


def after_fork() -> None:
    """Tell this module that the process is a forked worker."""
    global _is_fork
    _is_fork = True
    unreachable_names.clear()


def is_being_imported(module_name: str | None) -> bool:
    """
    Tell whether a module, or a package around it, has begun to be imported and not finished.

    What stands in such a module must not go by name: the other process would import it and run the
    very statement that is submitting.

    Args:
        module_name: The value of some object's `__module__`.

    Returns:
        Whether one of these modules is initializing in this process.
    """
    while module_name and type(module_name) is str:
        spec = getattr(sys.modules.get(module_name), "__spec__", None)
        if getattr(spec, "_initializing", False):
            return True
        module_name = module_name.rpartition(".")[0]
    return False


def is_unreachable(module_name: str | None) -> bool:
    """
    Tell whether the other process cannot have a module by its name.

    Args:
        module_name: The value of some object's `__module__`.

    Returns:
        Whether it is still being imported here, or was read from a file by which the import system
        does not find it: a plug-in, a test that pytest has imported in the mode "importlib", what
        stood in a folder that has left `sys.path`. Forked workers have these in memory.
    """
    if is_being_imported(module_name):
        return True
    if _is_fork or type(module_name) is not str or not is_lost(module_name):
        return False
    # Here, because it is seldom needed, and nothing that a worker needs at its start.
    from webworker_executor.wire.forks import is_packing_for_forks

    return not is_packing_for_forks()


def is_lost(module_name: str) -> bool:
    """
    Tell whether a module was read from a file by which the import system does not find it now.

    Args:
        module_name: Its name.
    """
    global _pattern
    module = sys.modules.get(module_name)
    known = _known.get(module_name)
    if known is not None and known[0] is module:
        return known[1]
    try:
        is_lost = not _is_found(module_name, module)
    except Exception as error:
        from webworker_executor.wire.struck import is_a_handlers

        if is_a_handlers(error):
            raise
        # A finder of the program's own, which does not like to be asked.
        is_lost = False
    if is_lost and not _is_fork:
        unreachable_names.add(module_name.encode("utf-8", "surrogatepass"))
        _pattern = (0, None)
    _known[module_name] = module, is_lost
    return is_lost


def _is_found(module_name: str, module: object) -> bool:
    """Look for a module as the other process will, which has imported nothing of it yet."""
    spec: Any = getattr(module, "__spec__", None)
    file = getattr(module, "__file__", None)
    if module_name in MAIN or spec is None or type(file) is not str or not file.endswith(".py"):
        # Of what has no file, such as what a package makes and puts there, nothing is known: most
        # of it is there as soon as the package is imported.
        return True
    if spec.name != module_name:
        # As `collections.abc`: another module under this name.
        return True
    path: Any = None
    name, rest = "", module_name
    while rest:
        part, _, rest = rest.partition(".")
        name = f"{name}.{part}" if name else part
        found = _find(name, path)
        if found is None:
            return False
        if rest:
            path = found.submodule_search_locations
            parent: Any = sys.modules.get(name)
            own = getattr(parent, "__spec__", None)
            if own is not None and own.origin is not None and own.origin == found.origin:
                # Its own code may have added folders.
                path = getattr(parent, "__path__", path)
            if path is None:
                return True
        elif found.origin != spec.origin:
            # Another one of that name.
            return False
    return True


def _find(name: str, path: Any) -> Any:
    for finder in sys.meta_path:
        find_spec = getattr(finder, "find_spec", None)
        found = None if find_spec is None else find_spec(name, path)
        if found is not None:
            return found
    return None


def names_unreachable(payload: bytes, *, to_host: bool = False) -> bool:
    """
    Tell whether a pickle names something of a module that is unreachable.

    Args:
        payload: What the plain pickler made, in protocol 5, with a name in it.
        to_host: Whether it goes to the process that started this one. That may have what is being
            imported here, or was read from some file.

    Returns:
        Whether it names such a module, or holds a text that reads so.
    """
    if not to_host:
        if _importing and _names_what_is_being_imported(payload):
            return True
        if not _is_fork:
            _look_at_new_modules()
    if not unreachable_names or _pattern_of_names().search(payload) is None:
        return False
    from webworker_executor.wire.forks import is_packing_for_forks

    return not is_packing_for_forks()


def _names_what_is_being_imported(payload: bytes) -> bool:
    for name in list(_importing):
        if is_being_imported(name):
            text = name.encode("utf-8", "surrogatepass")
            # Nor can the parts of a package be imported without it.
            if _as_pickled(text) in payload or text + b"." in payload:
                return True
    return False


def _as_pickled(text: bytes) -> bytes:
    # SHORT_BINUNICODE, and the length.
    return b"\x8c%c%b" % (len(text), text) if len(text) < 256 else text


def _pattern_of_names() -> Any:
    global _pattern
    n_names, pattern = _pattern
    if n_names != len(unreachable_names):
        import re

        names = list(unreachable_names)
        # In one go: a program may have read each of its thousand plug-ins from a file.
        pattern = re.compile(b"|".join([re.escape(_as_pickled(name)) for name in names]))
        _pattern = len(names), pattern
    return pattern


def _look_at_new_modules() -> None:
    """
    Find out which modules have come that the other process would not find.

    Only what does not stand where its name says is looked for: to look for all of a program's
    thousand modules takes 50 ms, and this 1 ms, once.
    """
    global _looked
    previous, path = _looked
    try:
        latest: object = next(reversed(sys.modules.values()))
    except RuntimeError:
        # Another thread imports at this moment.
        latest = None
    is_same_path = path == sys.path
    if is_same_path and latest is previous and latest is not None:
        return
    path, modules = sys.path.copy(), list(sys.modules.items())
    n_new = 0
    for _, module in reversed(modules):
        if module is previous and is_same_path:
            break
        n_new += 1
    for name, module in modules[len(modules) - n_new :]:
        if type(module) is _MODULE and not _stands_where_it_says(name, module):
            is_lost(name)
    _looked = modules[-1][1], path


def _stands_where_it_says(module_name: str, module: object) -> bool:
    # Not by `getattr`: to some modules that is a reason to load what they have put off.
    origin = getattr(vars(module).get("__spec__"), "origin", None)
    if type(origin) is not str or not origin.endswith(".py"):
        return True
    parent_name, _, name = module_name.rpartition(".")
    folder, _, file = origin.rpartition("/")
    if file == "__init__.py":
        folder, _, file = folder.rpartition("/")
        file += ".py"
    if file != f"{name}.py" or parent_name.encode("utf-8", "surrogatepass") in unreachable_names:
        return False
    if not parent_name:
        return folder in sys.path
    parent = sys.modules.get(parent_name)
    return type(parent) is _MODULE and folder in (vars(parent).get("__path__") or ())


def must_not_import(module_name: str | None) -> bool:
    """
    Tell whether the other process must not import a module, or cannot.

    Args:
        module_name: The value of some object's `__module__`.

    Returns:
        Whether it is unreachable, or the user asked cloudpickle to send it by value.

    Source: `cloudpickle.register_pickle_by_value`.
    """
    cloudpickle = sys.modules.get("cloudpickle.cloudpickle")
    asked: Iterable[str] = getattr(cloudpickle, "_PICKLE_BY_VALUE_MODULES", ())
    for name in asked:
        if f"{module_name}.".startswith(f"{name}."):
            return True
    return is_unreachable(module_name)


def is_module_level(obj: Any) -> bool:
    """
    Tell whether a function or class is what its module has under its name.

    Args:
        obj: A function or class.

    Returns:
        Whether the module holds it. A lambda's name tells nothing, so for a lambda all the module's
        globals are tried.
    """
    if obj.__qualname__ == "<lambda>":
        variables = obj.__globals__
        module = sys.modules.get(variables.get("__name__"))
        # Where `exec` has run, they are nobody's.
        is_modules = getattr(module, "__dict__", None) is variables
        return is_modules and any(value is obj for value in list(variables.values()))
    found: object = sys.modules.get(obj.__module__)
    for name in obj.__qualname__.split("."):
        found = getattr(found, name, None)
    return found is obj


def is_named(kind: type) -> bool:
    """
    Tell whether objects of a type may pickle as the name of a global, as a `typing.NewType` does.

    Args:
        kind: The exact type of some object.

    Source: `object.__reduce__`, which may return a string.
    """
    return "__reduce__" in kind.__dict__ or kind.__module__ == "typing"


def goes_by_name(fn: Any) -> bool:
    """
    Tell whether a function, builtin or class can be imported by the other process.

    Args:
        fn: A function, builtin or class.

    Returns:
        Whether its module has it, and is a module that can be imported, and is not `__main__`.
    """
    module_name = fn.__module__
    if not module_name or module_name in MAIN or fn.__qualname__ == "<lambda>":
        return False
    if type(fn) is _BUILTIN and type(getattr(fn, "__self__", None)) is not _MODULE:
        # A method bound to an object, and so to a state.
        return False
    return is_module_level(fn) and not must_not_import(module_name)


def must_go_by_value(fn: Any) -> bool:
    """
    Tell whether a callable must not go by name even though the plain pickler could send its name.

    Args:
        fn: Any callable, also one whose attributes raise.

    Returns:
        Whether it, or the function that it wraps, stands in a module that the other process must
        not import, or cannot.
    """
    try:
        for _ in range(8):
            inner = getattr(fn, "func", None) or getattr(fn, "__func__", None)
            if inner is None:
                break
            fn = inner
        module_name = getattr(fn, "__module__", None)
        return must_not_import(module_name)
    except Exception:
        return False
