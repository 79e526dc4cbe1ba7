"""
Who a worker says it is: surroundings that look like the host's, and what ``multiprocessing`` and
``asyncio`` are told when, and only if, they are imported.

Objects of ``multiprocessing`` that come with a task (manager proxies above all) need the host's
authentication key, and shared memory its resource tracker; programs ask which of the workers they
are in. Importing the package at every start for that would double the time a worker takes to come
up, so finders wait for the imports.
"""

from __future__ import annotations

import _thread
import posix
import sys

from webworker_executor.wire.frame import encode
from webworker_executor.wire.kinds import TRACKER

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from importlib.machinery import ModuleSpec
    from types import ModuleType
    from typing import Any

    from webworker_executor.child.loop import Loop
    from webworker_executor.wire.frame import Frame

# A host that holds the interpreter for longer than that is not waited for.
ASK_SECONDS = 10.0


def adopt(hello: dict[str, Any], name: str, loop: Loop) -> None:
    """
    Look like the host: the same path, arguments, environment and folder; nothing of `-c` is left.

    Args:
        hello: What the first frame says.
        name: The name of this process, for ``multiprocessing``.
        loop: Asks the host for what is shared.

    Raises:
        OSError: The host's folder cannot be entered.
    """
    path = hello["sys_path"]
    if hello.get("keeps_path"):
        # An interpreter of the user's choice: what is installed there goes first, also before the
        # folder that this package was found in, which may hold what another version compiled.
        path = sys.path[1:] + [entry for entry in path if entry not in sys.path[1:]]
    sys.path[:] = path
    if not isinstance(getattr(sys, "argv", None), list):
        # A forked copy of an embedded interpreter, or of a program that has taken it away.
        sys.argv = []
    sys.argv[:] = hello["argv"]
    if hello["environ"] is not None:
        import os

        # A process forked from another than the host has that one's surroundings.
        os.environ.clear()
        os.environ.update(hello["environ"])
    if hello["cwd"] is not None:
        posix.chdir(hello["cwd"])
    if hello.get("umask") is not None:
        posix.umask(hello["umask"])
    if hello.get("environment") is not None:
        from webworker_executor.web import environment

        environment.adopt(hello["environment"])
    host = hello["multiprocessing"]
    IdentityFinder(name, hello["index"], host).install()
    if host["start_method"] is not None:
        StartMethodFinder(host["start_method"]).install()
    TrackerFinder(loop).install()


class ImportFinder:
    """A finder on ``sys.meta_path`` that steps in once, after one module has been imported."""

    MODULE = ""

    def install(self) -> None:
        """Wait for the import, or act at once in a process that has it (a forked one)."""
        module = sys.modules.get(self.MODULE)
        if module is not None:
            self._tell(module)
        else:
            sys.meta_path.insert(0, self)

    def find_spec(
        self, fullname: str, path: Sequence[str] | None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        """Find the module as anybody else would, and step in when it is run."""
        if fullname != self.MODULE:
            return None
        sys.meta_path.remove(self)
        from importlib.util import find_spec

        spec = find_spec(fullname)
        if spec is None or spec.loader is None:
            return spec
        run = spec.loader.exec_module

        def run_and_tell(module: ModuleType) -> None:
            run(module)
            self._tell(module)

        spec.loader.exec_module = run_and_tell  # type: ignore[method-assign]  # this one loader's
        return spec

    def _tell(self, module: ModuleType) -> None:
        raise NotImplementedError


class IdentityFinder(ImportFinder):
    """
    Tells ``multiprocessing`` which process this is, and which is its parent.

    The same as in the stdlib's workers: that it is no main process, and a number from 1 on, by
    which programs tell workers apart.

    Args:
        name: Of this process.
        index: The worker's place in its pool, ``None`` where it has none.
        host: What the host has told of itself.
    """

    MODULE = "multiprocessing.process"

    def __init__(self, name: str, index: int | None, host: dict[str, Any]) -> None:
        self._name = name
        self._number = 0 if index is None else index + 1
        self._host = host

    def _tell(self, module: ModuleType) -> None:
        host = self._host
        kind = type("WebWorkerProcess", (module.BaseProcess,), {"__module__": __name__})
        # What it is to pass on to its own processes it takes from the one that stands there: that
        # of a new interpreter, or of the program that was forked.
        process = kind(name=self._name)
        process._identity = (*host["identity"], self._number)
        process._parent_pid, process._parent_name = host["pid"], host["name"]
        # A worker may have processes, also in a process that may not.
        process._config.pop("daemon", None)
        if host["authkey"] is not None:
            process.authkey = host["authkey"]
        content = vars(module)
        content["_current_process"] = process
        content["_parent_process"] = module._ParentProcess(
            host["name"], host["pid"], _sentinel(host["pid"])
        )
        content["_process_counter"] = module.itertools.count(1)


def _sentinel(pid: int) -> int:
    """Return a descriptor that is readable once a process has ended."""
    try:
        return posix.pidfd_open(pid)
    except OSError:
        # Refused. While this process lives, so does its host.
        return posix.eventfd(0, posix.EFD_CLOEXEC)


class StartMethodFinder(ImportFinder):
    """Tells ``multiprocessing`` how the program starts its processes, where it has chosen."""

    MODULE = "multiprocessing.context"

    def __init__(self, method: str) -> None:
        self._method = method

    def _tell(self, module: ModuleType) -> None:
        module._force_start_method(self._method)


class LoopFinder(ImportFinder):
    """
    Has what nobody caught on a loop of ``asyncio`` reported, where it would be logged.

    That is what a task raised that nobody awaits, and what a callback raised. A loop with an
    exception handler of its own has that.

    Source: HTML, ``unhandledrejection``; asyncio, ``loop.default_exception_handler``.
    """

    MODULE = "asyncio.base_events"

    def __init__(self, report: Callable[[BaseException], object]) -> None:
        self._report = report

    def _tell(self, module: ModuleType) -> None:
        kind: Any = module.BaseEventLoop
        native, report = kind.default_exception_handler, self._report

        def default_exception_handler(loop: Any, context: dict[str, Any]) -> None:
            error = context.get("exception")
            if error is not None and ("future" in context or "handle" in context):
                try:
                    report(error)
                except Exception:
                    # Of a process that the script has forked, for one.
                    native(loop, context)
            else:
                native(loop, context)

        kind.default_exception_handler = default_exception_handler


class TrackerFinder(ImportFinder):
    """
    Has the host asked for its resource tracker, which the stdlib's workers share from their start.

    With a tracker of its own, the end of a worker would be the end of all shared memory that it had
    made, or (until Python 3.13 can be told otherwise) had only attached to, though others use it.
    It is asked when a tracker is needed first, because the host starts one then: it is a process,
    and most programs need none.
    """

    MODULE = "multiprocessing.resource_tracker"

    def __init__(self, loop: Loop) -> None:
        self._loop = loop
        self._asking = _thread.RLock()
        self._has_asked = False
        self._fds: Sequence[Any] = ()
        self._has_answer = _thread.allocate_lock()
        self._has_answer.acquire()
        loop.desk.answers[TRACKER] = self._answered

    def _answered(self, frame: Frame) -> None:
        # On the control thread.
        self._fds = frame.fds
        if self._has_answer.locked():
            self._has_answer.release()

    def _tell(self, module: ModuleType) -> None:
        tracker = module._resource_tracker
        # The second one is of later Pythons. All that starts a tracker comes through these.
        for name in ("ensure_running", "_ensure_running_and_write"):
            if hasattr(tracker, name):
                vars(tracker)[name] = self._asking_first(tracker, getattr(tracker, name))
        vars(module)["ensure_running"] = tracker.ensure_running

    def _asking_first(self, tracker: Any, start: Callable[..., Any]) -> Callable[..., Any]:
        def ask_and_start(*args: Any) -> Any:
            # Of a copy that a task has forked the host knows nothing.
            if not self._loop.is_copy:
                with self._asking:
                    if not self._has_asked:
                        self._has_asked = True
                        self._ask(tracker)
            return start(*args)

        return ask_and_start

    def _ask(self, tracker: Any) -> None:
        if tracker._fd is not None:
            # It came with the initializer, or was inherited.
            return
        self._loop.post(encode(TRACKER, 0), ())
        if self._has_answer.acquire(timeout=ASK_SECONDS):
            for descriptor in self._fds:
                tracker._fd = descriptor.take()
