"""
What is ``async def`` though it is called by us: handlers, which go on while other events are
dispatched, as on the Web, and tasks and methods that are called from afar.

Imported with the first of them.
"""

from __future__ import annotations

import asyncio
import contextlib
from typing import TYPE_CHECKING, Any

from webworker_executor.web.dispatch import running_loop
from webworker_executor.web.running import running_task

if TYPE_CHECKING:
    from collections.abc import (
        AsyncIterable,
        AsyncIterator,
        Awaitable,
        Callable,
        Coroutine,
        Iterator,
    )

    from webworker_executor.web.abort import AbortSignal
    from webworker_executor.web.target import EventTarget

# A loop keeps its tasks weakly.
_running: set[asyncio.Task[Any]] = set()


def run(coroutine: Coroutine[Any, Any, object], target: EventTarget | None) -> None:
    """
    Run what an ``async def`` that listens has returned, on the running loop.

    Args:
        coroutine: It begins in the loop's next round. What it returns is ignored.
        target: Told what it raises, as of any listener.

    Raises:
        TypeError: No loop runs in this thread.

    Source: HTML, where the promise of an ``async`` listener is nobody's.
    """
    try:
        loop = asyncio.get_running_loop()
    except RuntimeError:
        coroutine.close()
        name = getattr(coroutine, "__qualname__", "a listener")
        raise TypeError(
            f"{name} is async def, and no asyncio loop runs where it listens; set it within a "
            "coroutine, so that it is called on that loop, or make it a def"
        ) from None
    task = loop.create_task(coroutine)
    _running.add(task)

    def done(task: asyncio.Task[Any]) -> None:
        _running.discard(task)
        error = None if task.cancelled() else task.exception()
        if isinstance(error, Exception) and target is not None:
            target._report(error)

    task.add_done_callback(done)


def completed(result: Any) -> Any:
    """
    Return what was called from afar has returned; of an ``async def``, run it and return its value.

    It runs to its end before the next call, on a loop of its own, as ``asyncio.run`` does; within a
    task of a pool it is cancelled when that is aborted. Where a loop runs in this thread, it
    becomes a task of that, which is returned, and calls go on.

    Raises:
        BaseException: What it raises.

    Source: Comlink, which awaits what a method returns.
    """
    if not asyncio.iscoroutine(result):
        return result
    loop = running_loop()
    if loop is None:
        signal = _signal_of_task()
        return asyncio.run(result if signal is None else _cancelled_by(signal, result))
    task = loop.create_task(result)
    _running.add(task)
    task.add_done_callback(_running.discard)
    return task


def iterated(items: AsyncIterable[Any]) -> Iterator[Any]:
    """
    Iterate over what is asynchronous, on a loop of its own, which stands while nobody asks.

    Within a task of a pool, what is awaited for an item is cancelled when the task is aborted.

    Raises:
        BaseException: What the items raise.
    """
    signal = _signal_of_task()
    steps: list[asyncio.Task[Any]] = []
    with asyncio.Runner() as runner:
        iterator = items.__aiter__()
        try:
            while True:
                step = _next_of(iterator, steps)
                try:
                    item = runner.run(step if signal is None else _cancelled_by(signal, step))
                except StopAsyncIteration:
                    return
                yield item
        finally:
            close = getattr(iterator, "aclose", None)
            if close is not None:
                runner.run(_closed(close, steps))


async def _next_of(iterator: AsyncIterator[Any], steps: list[asyncio.Task[Any]]) -> Any:
    task = asyncio.current_task()
    assert task is not None
    steps[:] = [task]
    return await iterator.__anext__()


async def _closed(close: Callable[[], Awaitable[Any]], steps: list[asyncio.Task[Any]]) -> None:
    for task in steps:
        # A signal handler has raised, out of the loop. A generator that runs cannot be closed.
        if not task.done():
            task.cancel()
            await asyncio.wait([task])
    await close()


def _signal_of_task() -> AbortSignal | None:
    try:
        signal: AbortSignal = running_task().signal
    except RuntimeError:
        # No task runs here: this is the program, or a script.
        return None
    return signal


async def _cancelled_by(signal: AbortSignal, coroutine: Coroutine[Any, Any, Any]) -> Any:
    """
    Await a coroutine, and cancel it when a signal aborts.

    Raises:
        BaseException: What it raises; or why the signal has aborted, if it ends by that cancel.
    """
    loop, task = asyncio.get_running_loop(), asyncio.current_task()
    assert task is not None
    is_told = False

    def tell() -> None:
        nonlocal is_told
        is_told = True
        task.cancel()

    def cancel() -> None:
        # On the thread that aborts, and the loop may just have ended.
        with contextlib.suppress(RuntimeError):
            loop.call_soon_threadsafe(tell)

    if not signal._add_algorithm(cancel):
        tell()
    try:
        return await coroutine
    except asyncio.CancelledError:
        # Where somebody else has cancelled it as well, as Ctrl-C does, that has its own meaning.
        if is_told and not task.uncancel():
            # To whoever awaits the outcome a CancelledError would say that nobody wants it.
            signal.throw_if_aborted()
        raise
    finally:
        signal._remove_algorithm(cancel)
