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
    from webworker_executor.child.connection import Connection as Connection
    from webworker_executor.child.connection import connect as connect
    from webworker_executor.child.navigator import WorkerNavigator as WorkerNavigator
    from webworker_executor.child.scope import Scope as Scope
    from webworker_executor.child.scope import scope as scope
    from webworker_executor.child.task import RunningTask as RunningTask
    from webworker_executor.child.task import current_task as current_task
    from webworker_executor.errors import AbortError as AbortError
    from webworker_executor.errors import ActorLostError as ActorLostError
    from webworker_executor.errors import BrokenWorkerPool as BrokenWorkerPool
    from webworker_executor.errors import DataCloneError as DataCloneError
    from webworker_executor.errors import HandshakeError as HandshakeError
    from webworker_executor.errors import HandshakeTimeoutError as HandshakeTimeoutError
    from webworker_executor.errors import InvalidStateError as InvalidStateError
    from webworker_executor.errors import MaxDurationError as MaxDurationError
    from webworker_executor.errors import NetworkError as NetworkError
    from webworker_executor.errors import NotAWorkerError as NotAWorkerError
    from webworker_executor.errors import PoolFullError as PoolFullError
    from webworker_executor.errors import PortClosedError as PortClosedError
    from webworker_executor.errors import ProtocolError as ProtocolError
    from webworker_executor.errors import TaskAborted as TaskAborted
    from webworker_executor.errors import TaskTimeout as TaskTimeout
    from webworker_executor.errors import WebWorkerError as WebWorkerError
    from webworker_executor.errors import WorkerCrashedError as WorkerCrashedError
    from webworker_executor.errors import WorkerLoadError as WorkerLoadError
    from webworker_executor.errors import WorkerStartError as WorkerStartError
    from webworker_executor.launch.launcher import Launcher as Launcher
    from webworker_executor.launch.limits import Limits as Limits
    from webworker_executor.launch.zygote import ZygoteLauncher as ZygoteLauncher
    from webworker_executor.observe import PoolEvent as PoolEvent
    from webworker_executor.pool.actor import Actor as Actor
    from webworker_executor.pool.executor import WebWorkerExecutor as WebWorkerExecutor
    from webworker_executor.pool.future import WorkerFuture as WorkerFuture
    from webworker_executor.pool.options import ExecutorView as ExecutorView
    from webworker_executor.pool.progress import progress as progress
    from webworker_executor.pool.statistics import ExecutorStatistics as ExecutorStatistics
    from webworker_executor.pool.statistics import WorkerStatistics as WorkerStatistics
    from webworker_executor.pool.stream import Stream as Stream
    from webworker_executor.pool.talk import Conversation as Conversation
    from webworker_executor.pool.talk import ProgressEvent as ProgressEvent
    from webworker_executor.web.abort import AbortController as AbortController
    from webworker_executor.web.abort import AbortSignal as AbortSignal
    from webworker_executor.web.atomics import Atomics as Atomics
    from webworker_executor.web.broadcast import BroadcastChannel as BroadcastChannel
    from webworker_executor.web.channel import MessageChannel as MessageChannel
    from webworker_executor.web.creation import create_worker as create_worker
    from webworker_executor.web.descriptor import FileDescriptor as FileDescriptor
    from webworker_executor.web.environment import get_environment_data as get_environment_data
    from webworker_executor.web.environment import set_environment_data as set_environment_data
    from webworker_executor.web.event import CloseEvent as CloseEvent
    from webworker_executor.web.event import ErrorEvent as ErrorEvent
    from webworker_executor.web.event import Event as Event
    from webworker_executor.web.event import ExitEvent as ExitEvent
    from webworker_executor.web.event import MessageEvent as MessageEvent
    from webworker_executor.web.location import WorkerLocation as WorkerLocation
    from webworker_executor.web.locks import Lock as Lock
    from webworker_executor.web.locks import LockManager as LockManager
    from webworker_executor.web.locks import LockRequest as LockRequest
    from webworker_executor.web.locks import locks as locks
    from webworker_executor.web.outcome import WorkerOutcome as WorkerOutcome
    from webworker_executor.web.pool_worker import PoolWorker as PoolWorker
    from webworker_executor.web.port import MessagePort as MessagePort
    from webworker_executor.web.process_statistics import ProcessStatistics as ProcessStatistics
    from webworker_executor.web.proxy import Proxy as Proxy
    from webworker_executor.web.proxy import clone as clone
    from webworker_executor.web.proxy import construct as construct
    from webworker_executor.web.proxy import expose as expose
    from webworker_executor.web.proxy import fetch as fetch
    from webworker_executor.web.proxy import proxy as proxy
    from webworker_executor.web.proxy import release as release
    from webworker_executor.web.proxy import wrap as wrap
    from webworker_executor.web.request import Reply as Reply
    from webworker_executor.web.shared import SharedBuffer as SharedBuffer
    from webworker_executor.web.target import EventTarget as EventTarget
    from webworker_executor.web.transferable import structured_clone as structured_clone
    from webworker_executor.web.transferable import transfer as transfer
    from webworker_executor.web.untransferable import (
        is_marked_as_untransferable as is_marked_as_untransferable,
    )
    from webworker_executor.web.untransferable import mark_untransferable as mark_untransferable
    from webworker_executor.web.worker import Worker as Worker
    from webworker_executor.wire.failure import RemoteError as RemoteError

__version__ = "0.1.0"

_HOMES = {
    "AbortController": "web.abort",
    "AbortError": "errors",
    "AbortSignal": "web.abort",
    "Actor": "pool.actor",
    "ActorLostError": "errors",
    "Atomics": "web.atomics",
    "BroadcastChannel": "web.broadcast",
    "BrokenWorkerPool": "errors",
    "CloseEvent": "web.event",
    "Connection": "child.connection",
    "Conversation": "pool.talk",
    "DataCloneError": "errors",
    "ErrorEvent": "web.event",
    "Event": "web.event",
    "EventTarget": "web.target",
    "ExecutorStatistics": "pool.statistics",
    "ExecutorView": "pool.options",
    "ExitEvent": "web.event",
    "FileDescriptor": "web.descriptor",
    "HandshakeError": "errors",
    "HandshakeTimeoutError": "errors",
    "InvalidStateError": "errors",
    "Launcher": "launch.launcher",
    "Limits": "launch.limits",
    "Lock": "web.locks",
    "LockManager": "web.locks",
    "LockRequest": "web.locks",
    "MaxDurationError": "errors",
    "MessageChannel": "web.channel",
    "MessageEvent": "web.event",
    "MessagePort": "web.port",
    "NetworkError": "errors",
    "NotAWorkerError": "errors",
    "PoolEvent": "observe",
    "PoolFullError": "errors",
    "PoolWorker": "web.pool_worker",
    "PortClosedError": "errors",
    "ProcessStatistics": "web.process_statistics",
    "ProgressEvent": "pool.talk",
    "ProtocolError": "errors",
    "Proxy": "web.proxy",
    "RemoteError": "wire.failure",
    "Reply": "web.request",
    "RunningTask": "child.task",
    "Scope": "child.scope",
    "SharedBuffer": "web.shared",
    "Stream": "pool.stream",
    "TaskAborted": "errors",
    "TaskTimeout": "errors",
    "WebWorkerError": "errors",
    "WebWorkerExecutor": "pool.executor",
    "Worker": "web.worker",
    "WorkerCrashedError": "errors",
    "WorkerFuture": "pool.future",
    "WorkerLoadError": "errors",
    "WorkerLocation": "web.location",
    "WorkerNavigator": "child.navigator",
    "WorkerOutcome": "web.outcome",
    "WorkerStartError": "errors",
    "WorkerStatistics": "pool.statistics",
    "ZygoteLauncher": "launch.zygote",
    "clone": "web.proxy",
    "connect": "child.connection",
    "construct": "web.proxy",
    "create_worker": "web.creation",
    "current_task": "child.task",
    "expose": "web.proxy",
    "fetch": "web.proxy",
    "get_environment_data": "web.environment",
    "is_marked_as_untransferable": "web.untransferable",
    "locks": "web.locks",
    "mark_untransferable": "web.untransferable",
    "progress": "pool.progress",
    "proxy": "web.proxy",
    "release": "web.proxy",
    "scope": "child.scope",
    "set_environment_data": "web.environment",
    "structured_clone": "web.transferable",
    "transfer": "web.transferable",
    "wrap": "web.proxy",
}

if not TYPE_CHECKING:  # who checks types cannot compute it, and takes what is imported above
    __all__ = [*sorted(_HOMES), "__version__"]


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
