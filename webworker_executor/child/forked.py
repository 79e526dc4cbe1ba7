"""
Become a worker in a process that was forked: shake off what belongs to the process before.

The zygote imports this before it is of any use, so it imports the least. Whatever each worker
imports sooner or later is imported here, before the fork.
"""

from __future__ import annotations

import _frozen_importlib
import _signal  # type: ignore[import-not-found]  # typeshed has no stub for it
import array as array
import atexit
import mmap as mmap
import os
import sys

from webworker_executor.child import entry
from webworker_executor.child import identity as identity
from webworker_executor.child import witness as witness
from webworker_executor.wire import codec

try:
    import _ctypes as _ctypes
except ImportError:
    # An interpreter without: see `lifeline.die_with_parent`.
    pass

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any


# The locks that a worker takes and nobody makes anew in a forked process: module, the path of what
# has the lock, its name. What they guard is whole at every line.
_LOCKS = (
    ("cloudpickle.cloudpickle", "", "_DYNAMIC_CLASS_TRACKER_LOCK"),
    ("multiprocessing.resource_tracker", "_resource_tracker", "_lock"),
    ("multiprocessing.forkserver", "_forkserver", "_lock"),
    ("asyncio.events", "", "_lock"),
    ("asyncio.mixins", "", "_global_lock"),
    ("sysconfig", "", "_CONFIG_VARS_LOCK"),
    ("tempfile", "", "_once_lock"),
    ("_strptime", "", "_cache_lock"),
    ("tqdm.std", "TqdmDefaultWriteLock", "th_lock"),
)


def become_worker(
    parent: int,
    data_fd: int,
    control_fd: int,
    ledger_fd: int | None,
    inherited: tuple[Callable[..., Any], tuple[Any, ...]] | None = None,
) -> None:
    """
    Run as a worker and end the process; never returns.

    Args:
        parent: The process id of the process that forked.
        data_fd: The data link.
        control_fd: The control link.
        ledger_fd: The ledger, or ``None``.
        inherited: The initializer and its arguments.
    """
    # Handlers that the program registered for its own exit are not the worker's to run.
    atexit._clear()
    threading = sys.modules.get("threading")
    if threading is not None:
        main = threading.main_thread()
        main.name = "MainThread"
        # What was the host's I/O thread is a daemon, and every thread that a task starts would be
        # one. `daemon` cannot be set on a running thread.
        main._daemonic = False
        # The program may be about to end when it forks; this process is not.
        threading._SHUTTING_DOWN = False  # type: ignore[attr-defined]  # private, but nobody else's
    if ledger_fd is None:
        ledger_fd = os.open(os.devnull, os.O_RDONLY | os.O_CLOEXEC)
    _forget_imports_under_way()
    _free_locks()
    _tell_multiprocessing()
    codec.after_fork()
    status = 1
    was_interrupted = False
    try:
        entry.main(parent, data_fd, control_fd, ledger_fd, inherited)
        status = 0
        _leave()
    except SystemExit as end:
        status = _status_of(end)
        _leave()
    except BaseException as error:
        was_interrupted = isinstance(error, KeyboardInterrupt)
        sys.excepthook(*sys.exc_info())
    finally:
        for stream in (sys.stdout, sys.stderr):
            try:
                stream.flush()
            except Exception:
                # Closed, or none, or an object of the program's own making.
                continue
        if was_interrupted:
            # As an interpreter ends that nobody has forked: by the signal itself.
            _signal.signal(_signal.SIGINT, _signal.SIG_DFL)
            os.kill(os.getpid(), _signal.SIGINT)
        os._exit(status)


def _status_of(end: SystemExit) -> int:
    """Return what an interpreter exits with, and say what it would say."""
    code = end.code
    if code is None:
        return 0
    if isinstance(code, int):
        # The kernel keeps so much of it.
        return code & 0xFF
    stream = sys.stderr
    if stream is not None:
        stream.write(f"{code}\n")
    return 1


def _leave() -> None:
    """Do what an interpreter does at its own exit."""
    threading = sys.modules.get("threading")
    if threading is not None:
        threading._shutdown()
    atexit._run_exitfuncs()
    util = sys.modules.get("multiprocessing.util")
    if util is not None:
        # Above all it waits until queues have written what was put.
        util._exit_function()


def _tell_multiprocessing() -> None:
    """Do for objects of ``multiprocessing`` what its own forked processes do."""
    util = sys.modules.get("multiprocessing.util")
    if util is not None:
        util._finalizer_registry.clear()
        util._run_after_forkers()
    process = sys.modules.get("multiprocessing.process")
    if process is not None:
        process._children.clear()


def _forget_imports_under_way() -> None:
    """
    Let this process import what another thread was importing when it was forked.

    That thread is not here, but the lock of the module is, held for ever; and so is the module,
    half made. What is ours is made anew, and what is the standard library's. A module of the
    program stays as it is, for its body may be what submits the task.
    """
    known = sys.stdlib_module_names | {"webworker_executor", "cloudpickle"}
    locks = vars(_frozen_importlib)["_module_locks"]
    # What is being imported is locked. To look at all modules instead would copy the memory that
    # this process shares with the other: 1 ms.
    for name in list(locks):
        module = sys.modules.get(name)
        is_half_made = getattr(getattr(module, "__spec__", None), "_initializing", False)
        if is_half_made and name.partition(".")[0] in known:
            del sys.modules[name]
    locks.clear()


def _free_locks() -> None:
    """
    Free the locks that another thread held when this process was forked: it is not here.

    A program forks a worker whenever one is due, and may just then be packing a class of its main
    module, or starting a resource tracker, which takes milliseconds. The first task with such a
    class, or with shared memory, would wait for ever.
    """
    for module, path, name in _LOCKS:
        holder = sys.modules.get(module)
        if path:
            holder = getattr(holder, path, None)
        lock = getattr(holder, name, None)
        if lock is not None:
            lock._at_fork_reinit()
