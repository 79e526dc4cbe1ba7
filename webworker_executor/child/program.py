"""
The script of a worker: read, compiled, run as the main program.

Not for what follows its first run: ``turns`` has that. The script is compiled before the host hears
that the worker is ready, so that a missing file or a syntax error is told as what it is.
"""

from __future__ import annotations

import builtins
import os
import sys

from webworker_executor.web.awaited import ended
from webworker_executor.web.location import be_in
from webworker_executor.wire.shown import shown

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from types import CodeType
    from typing import Any

    from webworker_executor.child.scope import Scope

# What a script finds in its namespace: functions of the scope, by the scope's own names.
_FUNCTIONS = (
    "add_event_listener",
    "clear_interval",
    "clear_timeout",
    "close",
    "dispatch_event",
    "import_scripts",
    "post_message",
    "queue_microtask",
    "remove_event_listener",
    "report_error",
    "set_interval",
    "set_timeout",
)
_VALUES = ("location", "name", "navigator", "worker_data")


class Program:
    """
    What a worker runs.

    Args:
        script: What the host says of it; see ``web.script``.
        baggage: The callable and its arguments, for a script that is one.
        scope: What the script finds in its namespace.

    Attributes:
        namespace: The globals of the script.

    Raises:
        OSError: The file cannot be read.
        ImportError: There is no such module, or it cannot be run.
        SyntaxError: It is no Python.
        ValueError: It has bytes in it that no source has.

    Source: HTML, "run a worker"; runpy.
    """

    def __init__(self, script: dict[str, Any], baggage: Any, scope: Scope) -> None:
        self._kind = script["kind"]
        self._module = type(sys)("__main__")
        self.namespace: dict[str, Any] = self._module.__dict__
        self._folder = os.getcwd()
        self._run: Callable[[], object]
        if self._kind == "callable":
            fn, args = baggage
            self._run = lambda: ended(fn(*args))
        else:
            self._run = self._code_runner(script)
        _inject(self.namespace, scope)

    def _code_runner(self, script: dict[str, Any]) -> Callable[[], object]:
        if self._kind == "module":
            code = self._code_of_module(script["module"])
        elif self._kind == "path":
            path = script["path"]
            self._folder = os.path.dirname(path)
            be_in(self._folder)
            self.namespace["__file__"] = path
            sys.path.insert(0, self._folder)
            code = _compile_file(path)
        else:
            filename = script["filename"]
            _show_source(filename, script["text"])
            code = compile(script["text"], filename, "exec", dont_inherit=True)
        self.namespace["__builtins__"] = builtins
        return lambda: exec(code, self.namespace)

    def _code_of_module(self, name: str) -> CodeType:
        from importlib.util import find_spec

        spec = find_spec(name)
        if spec is not None and spec.submodule_search_locations is not None:
            # As `python -m` runs a package.
            spec = find_spec(f"{name}.__main__")
        get_code = None if spec is None else getattr(spec.loader, "get_code", None)
        code = None if spec is None or get_code is None else get_code(spec.name)
        if spec is None or code is None:
            raise ModuleNotFoundError(f"no module named {name!r} can be run", name=name)
        self.namespace.update(
            __spec__=spec, __package__=spec.parent, __loader__=spec.loader, __file__=spec.origin
        )
        sys.argv[:1] = [spec.origin or name]
        return code  # type: ignore[no-any-return]  # loaders are many

    def take_main(self) -> None:
        """Become the main module of this process."""
        if self._kind != "callable":
            sys.modules["__main__"] = self._module

    def run(self) -> None:
        """Run the script once, from its first line to its last."""
        self._run()

    def import_scripts(self, paths: tuple[str, ...]) -> None:
        """Run more files in the same namespace; see ``Scope.import_scripts``."""
        if self._kind == "module":
            raise TypeError(
                "import_scripts() is not for modules: this worker was started with module=. Use "
                "import."
            )
        # HTML: all addresses are looked at before the first is fetched.
        for path in [self._resolve(path) for path in paths]:
            try:
                code = _compile_file(path)
            except OSError as error:
                from webworker_executor.errors import NetworkError

                raise NetworkError(
                    error.errno, f"{path} cannot be imported: {error.strerror}"
                ) from error
            exec(code, self.namespace)

    def _resolve(self, path: str) -> str:
        if not isinstance(path, (str, os.PathLike)):
            raise TypeError(f"import_scripts() takes paths, not {shown(path)}")
        path = os.fspath(path)
        if path.startswith("file:"):
            from webworker_executor.web.location import WorkerLocation

            path = WorkerLocation(path).path
        return os.path.normpath(os.path.join(self._folder, path))


def _inject(namespace: dict[str, Any], scope: Scope) -> None:
    for name in _FUNCTIONS:
        namespace[name] = getattr(scope, name)
    for name in _VALUES:
        namespace[name] = getattr(scope, name)
    namespace["scope"] = scope
    # `self` is what JavaScript calls it.
    namespace["self"] = scope


def _compile_file(path: str) -> CodeType:
    with open(path, "rb") as file:
        source = file.read()
    return compile(source, path, "exec", dont_inherit=True)


def _show_source(filename: str, text: str) -> None:
    """Let tracebacks show the lines of a text that was never in a file."""
    import linecache

    linecache.cache[filename] = (len(text), None, text.splitlines(keepends=True), filename)
