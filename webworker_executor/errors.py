"""
The exceptions that the package raises of its own: each says what happened, why, and what to do.

::

    WebWorkerError
    ├── WorkerStartError(OSError)             a worker process could not be brought up
    ├── WorkerLoadError                       the script of a worker could not be loaded
    ├── HandshakeError                        a program did not begin as a worker does
    │   └── HandshakeTimeoutError(TimeoutError)  it did not begin in time
    ├── MaxDurationError(TimeoutError)        a worker ran longer than it was allowed to
    ├── NotAWorkerError                       ``connect()`` in a process that is no worker
    ├── NetworkError(OSError)                 ``import_scripts`` did not find a file
    ├── WorkerCrashedError(BrokenProcessPool) a worker died while it ran a task: that one fails
    ├── TaskAborted                           a task was stopped by ``future.abort()``
    ├── ActorLostError                        a call of an actor whose worker is gone
    ├── TaskTimeout(TimeoutError)             a task ran longer than it was allowed to
    ├── PoolFullError(queue.Full)             a pool had no room for one more task
    ├── BrokenWorkerPool(BrokenProcessPool)   the whole pool is out of order
    ├── AbortError                            the default reason of an abort signal
    ├── InvalidStateError(RuntimeError)       a call that the state of its object does not allow
    ├── DataCloneError(PicklingError)         a value or a part of it cannot be sent or moved
    ├── ProtocolError                         the other side wrote what no peer of ours would write
    └── PortClosedError(ConnectionError)      a message or an answer was awaited from an end that is
                                              gone

``RemoteError`` is not among them, for it is no error of the package: it stands for an exception of
a worker that cannot be rebuilt, and is part of how failures travel, see ``wire.surrogate``. Nor is
what one module tells another and no program sees, such as ``wire.inherit.ForkInheritanceOnly``.

This module is not imported by a worker until something goes wrong there:
``BrokenProcessPool`` draws in ``multiprocessing``.
"""

from __future__ import annotations

from pickle import PicklingError
from queue import Full

try:
    from concurrent.futures.process import BrokenProcessPool
except RuntimeError:
    # The program is ending and has never imported that module, which registers something to be
    # done at the end: too late. Then nobody has a `BrokenProcessPool` in hand to compare with.
    from concurrent.futures import BrokenExecutor as BrokenProcessPool  # type: ignore[assignment]


class WebWorkerError(Exception):
    """Base of everything this package raises of its own."""


class WorkerStartError(WebWorkerError, OSError):
    """Raised when a worker process cannot be created or dies before it is ready."""


class WorkerLoadError(WebWorkerError):
    """
    Raised when a worker's script is missing, cannot be read or is no Python.

    ``__cause__`` is what the worker met, such as a ``SyntaxError``.

    Source: HTML, "run a worker", where fetching the script fails.
    """


class HandshakeError(WebWorkerError):
    """
    Raised when a program does not begin as a worker does.

    Attributes:
        reason: ``"exited"`` if it ended, ``"closed"`` if it closed its channel, ``"mismatch"`` if
            it wrote something else, ``"timeout"`` if it wrote nothing in time.
        exitcode: Its exit status if it ended, ``-signal`` if a signal killed it.

    Source: worker-process, "Handshake".
    """

    def __init__(self, message: str, reason: str = "", exitcode: int | None = None) -> None:
        super().__init__(message)
        self.reason = reason
        self.exitcode = exitcode


class HandshakeTimeoutError(HandshakeError, TimeoutError):
    """Raised when a program did not begin as a worker within ``handshake_timeout``."""


class MaxDurationError(WebWorkerError, TimeoutError):
    """Raised by ``lifetime`` when a worker was stopped because of its ``max_duration``."""


class NotAWorkerError(WebWorkerError):
    """Raised by ``connect()`` where no parent has given this process a channel."""


class NetworkError(WebWorkerError, OSError):
    """
    Raised when a script that is to be imported cannot be had.

    Source: HTML, ``importScripts``; DOM, "NetworkError".
    """


class ProtocolError(WebWorkerError):
    """Raised when bytes on a link are no frame, or a frame nobody asked for."""


class PortClosedError(WebWorkerError, ConnectionError):
    """
    Raised when a message is awaited from a worker or a port whose other side is gone and left none,
    or an answer from a proxy whose other side is gone.

    So it is for a port that was closed or given away here. The message tells which.
    """


class BrokenWorkerPool(WebWorkerError, BrokenProcessPool):
    """
    Raised for every task of a pool that is out of order, and by its ``submit`` if it stays so.

    ``__cause__`` is the reason: the exception of an initializer with its remote frames, or the
    error of the process that could not be started.

    A pool that breaks stays broken; make a new one. It breaks when an initializer raises, when its
    workers are ended by ``terminate_workers`` or ``kill_workers``, and with ``on_crash="break"`` by
    any death of a worker. A pool that merely gives up, because several starts in a row failed,
    raises this for the tasks that it has, and tries anew with the next that is submitted.
    """


class DataCloneError(WebWorkerError, PicklingError):
    """
    Raised when a value cannot be sent, because it or a part of it can neither be copied nor moved.

    The message names the part, such as ``message["a"][2].sock``. Nothing was sent and nothing was
    given up.

    Attributes:
        part: The object that stands in the way, where that is known.

    Source: DOM, "DataCloneError"; a ``PicklingError``, because that is what the standard library
    raises.
    """

    def __init__(self, message: str, part: object = None) -> None:
        super().__init__(message)
        self.part = part


class PoolFullError(WebWorkerError, Full):
    """
    Raised by ``submit`` when as many tasks are unfinished as ``max_pending`` allows.

    At once with ``when_full="raise"``, or after so many seconds. Nothing was submitted.
    """


class TaskAborted(WebWorkerError):
    """
    Raised by the future of a task that was stopped by ``abort``.

    Attributes:
        reason: What ``abort`` was given.
    """

    def __init__(self, message: str, reason: object = None) -> None:
        super().__init__(message)
        self.reason = reason


class TaskTimeout(WebWorkerError, TimeoutError):
    """
    Raised by the future of a task that ran longer than ``options(timeout=...)`` allowed.

    The clock starts when the task does. ``future.result(timeout=...)`` raises a plain
    ``TimeoutError`` instead, and stops nothing.

    Attributes:
        stack: The Python stacks of the worker's threads just before it was stopped, ``None`` if
            they could not be had. A note of the error shows them.
    """

    def __init__(self, message: str, stack: str | None = None) -> None:
        super().__init__(message)
        self.stack = stack


class ActorLostError(WebWorkerError):
    """Raised by a call of an actor whose worker died, or was replaced, before the call."""


class AbortError(WebWorkerError):
    """
    What an abort signal gives as its reason when nobody gave another.

    ``AbortSignal.throw_if_aborted`` raises it as well for a reason that is no exception.

    Attributes:
        reason: What ``abort`` was given, ``None`` if nothing.

    Source: DOM, "AbortError".
    """

    def __init__(self, message: str, reason: object = None) -> None:
        super().__init__(message)
        self.reason = reason


class InvalidStateError(WebWorkerError, RuntimeError):
    """
    Raised when an object is asked for what it cannot do in its present state.

    Source: DOM, "InvalidStateError".
    """


class WorkerCrashedError(WebWorkerError, BrokenProcessPool):
    """
    Raised for the one task that a worker was running when it died.

    Every other task of the pool goes on, and a new worker takes the place of the dead one. A chunk
    of a ``map`` is one task: all its calls fail, also those that were done.

    Attributes:
        pid: Process id of the dead worker.
        exitcode: Its exit status, ``-signal`` when a signal killed it, ``None`` when somebody
            else reaped it and the status is not known.
        signal_name: Such as ``"SIGKILL"``, or ``None`` when no signal killed it.
        task: What it ran, as ``module.function``.
        stack: The Python stacks of all its threads, as ``faulthandler`` wrote them when a fault in
            C code killed it, ``None`` if it wrote nothing. A note of the error shows them.
    """

    def __init__(
        self,
        message: str,
        pid: int | None = None,
        exitcode: int | None = None,
        signal_name: str | None = None,
        task: str | None = None,
        stack: str | None = None,
    ) -> None:
        super().__init__(message)
        self.stack = stack
        self.pid = pid
        self.exitcode = exitcode
        self.signal_name = signal_name
        self.task = task

    @property
    def signal(self) -> int | None:
        """
        The number of the signal that killed it; ``None`` when none did, or it is not known.

        Source: Node.js, ``signal`` of a child process, which is a name there.
        """
        return -self.exitcode if self.exitcode is not None and self.exitcode < 0 else None
