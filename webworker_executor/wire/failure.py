"""
Carry an exception from the process where it was raised to the one that waits for it.

For: whatever a task raises, with its traceback, its chain, its notes and its state.
Not for: what breaks a link or ends a process (`errors`).
The one thing a changer must know: `pack_failure` and `unpack_failure` never raise, so every step
that meets the user's classes has something to fall back on, down to a `RemoteError` that says it
all. The envelope is a pickle of builtin types only; what may fail to load lies inside it as bytes
(see `dissect`).
"""

from __future__ import annotations

from _pickle import dumps, loads

from webworker_executor.wire.anatomy import (
    cause_of,
    class_name,
    set_cause,
    set_suppress,
    suppresses_context,
    trace_of,
)
from webworker_executor.wire.assemble import Assembly
from webworker_executor.wire.dissect import Dissection
from webworker_executor.wire.report import failure_text, text_of, why
from webworker_executor.wire.stack import drop_frames, show_sources
from webworker_executor.wire.surrogate import LeftBehind, RemoteError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from types import TracebackType
    from typing import Any

    from webworker_executor.wire.dissect import Node

__all__ = ["LeftBehind", "RemoteError", "pack_failure", "unpack_failure"]


def pack_failure(exc: BaseException, skip: int = 0) -> bytes:
    """
    Pack an exception with its traceback and all it refers to. Never raises.

    Args:
        exc: Whatever was raised; it stays as it is.
        skip: How many of the outermost frames of its traceback to leave out: those of the caller's
            own loop.

    Returns:
        What `unpack_failure` takes.

    Source: `_ExceptionWithTraceback` of CPython's `process.py` sends the text only; `tblib` sends
    frames, but a custom `__init__`, a lock in an attribute or a deep recursion defeats it.
    """
    try:
        trace = drop_frames(trace_of(exc), skip)
        table = Dissection(exc, trace)
        return dumps((_text(exc, trace), table.nodes, table.parts, table.sources), 5)
    except BaseException as error:  # MemoryError, or a KeyboardInterrupt from a reducer
        return _last_resort(exc, why(error))


def unpack_failure(
    data: bytes | memoryview, note: Callable[[BaseException], object] = id
) -> BaseException:
    """
    Rebuild an exception, its traceback and all it refers to. Never raises.

    Args:
        data: What `pack_failure` returned.
        note: Called with whatever was raised meanwhile and cost something: a value, or all of it.

    Returns:
        The exception to raise. At the end of its chain of `__cause__` stands a
        `concurrent.futures.process._RemoteTraceback` with the text that the worker would have
        printed. It is a `RemoteError` if the original cannot be rebuilt here.

    Source: `_rebuild_exc` of CPython's `process.py`.
    """
    type_name, message, text = "an exception", "", ""
    try:
        text, nodes, parts, sources = loads(data)
        type_name, message = nodes[0][:2]
        if sources:
            show_sources(sources)
        exc = Assembly(nodes, parts, text, note).build()
        _append_text(exc, text, note)
    except BaseException as error:  # no future may be lost, whatever came over the link
        note(error)
        exc = RemoteError(type_name, message, (), text, why(error))
        _append_text(exc, text if type(text) is str else "", note)
    return exc


def remote_text(text: str) -> BaseException:
    """
    Return what the stdlib puts at the end of a failure: the text of a traceback.

    Raises:
        OSError: The program has no descriptor left, and with none nothing is imported.
        RuntimeError: The program is ending and has never imported the stdlib's pool, which then
            registers something to be done at the end: too late.
    """
    # Here, because it draws in multiprocessing, and only the host needs it.
    from concurrent.futures import process

    remote: Any = process
    text_at_the_end: BaseException = remote._RemoteTraceback(f'\n"""\n{text}"""')
    return text_at_the_end


def _text(exc: BaseException, trace: TracebackType | None) -> str:
    try:
        return failure_text(exc, trace)
    except BaseException:  # traceback meets the user's classes unguarded
        return f"{class_name(type(exc))}: {text_of(exc)}\n"


def _append_text(exc: BaseException, text: str, note: Callable[[BaseException], object]) -> None:
    try:
        remote = remote_text(text)
    except Exception as error:
        note(error)
        return  # the exception itself counts
    seen = set()
    end = exc
    while (cause := cause_of(end)) is not None:
        seen.add(id(end))
        if id(cause) in seen:
            return  # a circle has no end, and cutting it would be a lie
        end = cause
    suppresses = suppresses_context(end)
    set_cause(end, remote)
    set_suppress(end, suppresses)


def _last_resort(exc: BaseException, reason: str) -> bytes:
    type_name, text = class_name(type(exc)), text_of(exc)
    class_left = (type_name, type_name, reason)
    node: Node = (
        *(type_name, text, class_left, (), [], []),
        *(None, (), None, None, False, None, None),
    )
    return dumps((f"{type_name}: {text}\n", [node], [], {}), 5)
