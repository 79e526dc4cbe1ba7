"""
Web Workers for Python: a process pool that survives, and workers that talk.

The public names are bound on first use (PEP 562), because a worker process imports this package
too and must not load the pool, ``concurrent.futures`` or ``multiprocessing`` for it.
"""

from __future__ import annotations

import sys

if sys.platform != "linux":  # pragma: no cover  # claimed and tested on Linux alone
    raise ImportError(
        f"webworker_executor does not run on {sys.platform} yet: it stands on Linux's epoll, pidfd "
        "and AF_UNIX sockets. Use concurrent.futures.ProcessPoolExecutor there."
    )

TYPE_CHECKING = False
if TYPE_CHECKING:
    from webworker_executor.child.scope import scope as scope
    from webworker_executor.errors import AbortError as AbortError
    from webworker_executor.errors import BrokenWorkerPool as BrokenWorkerPool
    from webworker_executor.errors import InvalidStateError as InvalidStateError
    from webworker_executor.errors import PortClosedError as PortClosedError
    from webworker_executor.errors import ProtocolError as ProtocolError
    from webworker_executor.errors import TaskAborted as TaskAborted
    from webworker_executor.errors import WebWorkerError as WebWorkerError
    from webworker_executor.errors import WorkerCrashedError as WorkerCrashedError
    from webworker_executor.errors import WorkerStartError as WorkerStartError
    from webworker_executor.launch.zygote import ZygoteLauncher as ZygoteLauncher
    from webworker_executor.pool.executor import WebWorkerExecutor as WebWorkerExecutor
    from webworker_executor.pool.future import WorkerFuture as WorkerFuture
    from webworker_executor.web.abort import AbortController as AbortController
    from webworker_executor.web.abort import AbortSignal as AbortSignal
    from webworker_executor.web.event import CloseEvent as CloseEvent
    from webworker_executor.web.event import ErrorEvent as ErrorEvent
    from webworker_executor.web.event import Event as Event
    from webworker_executor.web.event import ExitEvent as ExitEvent
    from webworker_executor.web.event import MessageEvent as MessageEvent
    from webworker_executor.web.target import EventTarget as EventTarget
    from webworker_executor.web.pool_worker import PoolWorker as PoolWorker
    from webworker_executor.wire.failure import RemoteError as RemoteError

__version__ = "0.1.0"

_HOMES = {
    "AbortController": "web.abort",
    "AbortError": "errors",
    "AbortSignal": "web.abort",
    "BrokenWorkerPool": "errors",
    "CloseEvent": "web.event",
    "ErrorEvent": "web.event",
    "Event": "web.event",
    "EventTarget": "web.target",
    "ExitEvent": "web.event",
    "InvalidStateError": "errors",
    "MessageEvent": "web.event",
    "PortClosedError": "errors",
    "ProtocolError": "errors",
    "RemoteError": "wire.failure",
    "TaskAborted": "errors",
    "WebWorkerError": "errors",
    "WebWorkerExecutor": "pool.executor",
    "PoolWorker": "web.pool_worker",
    "WorkerCrashedError": "errors",
    "WorkerFuture": "pool.future",
    "WorkerStartError": "errors",
    "ZygoteLauncher": "launch.zygote",
    "scope": "child.scope",
}

__all__ = [  # the table above is the list
    *sorted(_HOMES),
    "__version__",
]


def __getattr__(name: str) -> object:
    home = _HOMES.get(name)
    if home is None:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    import importlib

    value = getattr(importlib.import_module(f"{__name__}.{home}"), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *_HOMES})
