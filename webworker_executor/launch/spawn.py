"""
Start a worker as a fresh interpreter, by ``posix_spawn``.

Nothing of the program's memory, threads or locks is in it, so nothing can be inherited half-way.
``subprocess`` is not used: it reads a pipe until the child has exec'ed, and a child that another
thread forked meanwhile can hold that pipe open.
"""

from __future__ import annotations

import os
import signal

from webworker_executor.launch.launcher import (
    CONTROL_FD,
    DATA_FD,
    LEDGER_FD,
    Child,
    WorkerSpec,
    interpreter,
    interpreter_flags,
)

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

    from webworker_executor.link.reactor import Reactor

PACKAGE_ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))

# Descriptors that the program made inheritable are not for the worker. The package is found where
# the host found it; the program's own sys.path follows with the first frame.
_BOOTSTRAP = (
    "import sys, posix; posix.closerange(6, 1 << 20); "
    "sys.path.insert(0, {root!r}); "
    "from webworker_executor.child.{module} import {function}; {function}({host})"
)

# A launching program may ignore or block these; a worker must start with what a program expects.
RESET = [signal.SIGINT, signal.SIGTERM, signal.SIGCHLD, signal.SIGPIPE]


class SpawnLauncher:
    """Fresh interpreters: the default. Tens of milliseconds each; nothing comes by accident."""

    name = "spawn"
    starts_all_at_once = False
    shares_memory = False
    passes_surroundings = True

    def open(self, reactor: Reactor) -> None:
        """Nothing is kept."""

    def launch(
        self,
        spec: WorkerSpec,
        on_started: Callable[[Child], object],
        on_failed: Callable[[Exception], object],
    ) -> None:
        """
        Start an interpreter that becomes a worker.

        Source: posix_spawn(3).
        """
        try:
            child = Child(spawn_interpreter(spec, "entry", "main"))
        except (OSError, ValueError) as error:
            on_failed(error)
        else:
            on_started(child)

    def close(self, on_closed: Callable[[], object]) -> None:
        """Nothing is kept."""
        on_closed()


def spawn_interpreter(spec: WorkerSpec, module: str, function: str) -> int:
    """
    Start an interpreter with the links at their places and call a function of ``child`` in it.

    Returns:
        The process id of a child in a process group of its own, so that the terminal's Ctrl-C
        reaches the program alone, with ``/dev/null`` for standard input.

    Raises:
        OSError: The process cannot be created.
    """
    code = _BOOTSTRAP.format(root=PACKAGE_ROOT, module=module, function=function, host=os.getpid())
    executable = spec.executable or interpreter()
    actions: list[tuple[int, int, int] | tuple[int, int, str, int, int]] = [
        *(
            [(os.POSIX_SPAWN_OPEN, 0, os.devnull, os.O_RDONLY, 0)]
            if spec.streams is None
            else spec.streams.actions
        ),
        (os.POSIX_SPAWN_DUP2, spec.data, DATA_FD),
        (os.POSIX_SPAWN_DUP2, spec.control, CONTROL_FD),
    ]
    if spec.ledger is not None:
        actions.append((os.POSIX_SPAWN_DUP2, spec.ledger, LEDGER_FD))
    else:
        # Whatever the program has there, if it is inheritable, is not for the worker.
        actions.append((os.POSIX_SPAWN_OPEN, LEDGER_FD, os.devnull, os.O_RDONLY, 0))
    return os.posix_spawn(
        executable,
        # -P: with a current directory on the path, a file in it would be taken for a module of the
        # standard library, and Python 3.13 stumbles (SystemError) where that directory is deleted.
        [executable, *interpreter_flags(), *spec.interpreter_args, "-P", "-c", code],
        os.environ if spec.environ is None else spec.environ,
        file_actions=actions,
        setpgroup=0,
        setsigmask=[],
        setsigdef=RESET,
    )
