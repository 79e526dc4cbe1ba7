"""
Where handlers run: on the asyncio loop, on a worker's main thread, or on the host's events thread.

Not for the order of events: each target sees to its own. A worker imports this module at its start,
so it imports the least.
"""

from __future__ import annotations

import sys

TYPE_CHECKING = False
if TYPE_CHECKING:
    from asyncio import AbstractEventLoop
    from collections.abc import Callable
    from typing import Protocol

    Call = Callable[[], object]

    class Dispatcher(Protocol):
        """A place where handlers run."""

        @property
        def is_closed(self) -> bool:
            """Whether nothing will be called there any more."""

        def call(self, call: Call) -> object:
            """
            Have something called there, after what was asked for before; from any thread.

            Returns:
                ``False`` where it will not be.
            """


class LoopDispatcher:
    """
    Runs handlers on an asyncio loop.

    Args:
        loop: The loop.
    """

    __slots__ = ("_loop",)

    def __init__(self, loop: AbstractEventLoop) -> None:
        self._loop = loop

    @property
    def is_closed(self) -> bool:
        """Whether the loop is."""
        return self._loop.is_closed()

    def call(self, call: Call) -> None:
        """Make a call in the loop's next round; none is made once it is closed."""
        try:
            self._loop.call_soon_threadsafe(call)
        except RuntimeError:
            import logging

            logging.getLogger("webworker_executor.web").debug(
                "an event came for %r, which is closed", self._loop
            )


class _Through:
    """Runs handlers on the events thread, and has a pool's end wait for them."""

    __slots__ = ("call",)

    is_closed = False

    def __init__(self, call: Callable[[Call], object]) -> None:
        self.call = call


class _Own:
    """Runs handlers where this process runs them: in a worker its loop, else the events thread."""

    __slots__ = ("_call", "_expect")

    is_closed = False

    def __init__(self) -> None:
        self._call: Callable[[Call], object] | None = None
        self._expect: Callable[[], object] | None = None

    def install(
        self, call: Callable[[Call], object] | None, expect: Callable[[], object] | None
    ) -> None:
        self._call, self._expect = call, expect

    @property
    def is_of_script(self) -> bool:
        """Whether there is a main thread that comes back between one thing and the next."""
        return self._call is not None and self._expect is None

    def expect(self) -> _Own:
        if self._expect is not None:
            self._expect()
        return self

    def call(self, call: Call) -> object:
        # Looked up for each call: a worker that forks out of a host installs its own.
        if self._call is not None:
            return self._call(call)
        from webworker_executor.web.delivery import deliver

        return deliver(call)


_own = _Own()


def install(
    call: Callable[[Call], object] | None, expect: Callable[[], object] | None = None
) -> None:
    """
    Say where a worker's handlers run.

    Args:
        call: Has something called on the worker's main thread, later, in order; may be called from
            any thread and in signal handlers, does not block, wakes the thread if it is idle.
            ``None`` goes back to the events thread.
        expect: Called when a handler is set, in that thread: there will be such calls. ``None`` in
            a script, which always looks.
    """
    _own.install(call, expect)


def running_loop() -> AbstractEventLoop | None:
    """Return the asyncio loop that runs in this thread, ``None`` if there is none."""
    # Whoever has not imported asyncio runs no loop.
    events = sys.modules.get("asyncio.events")
    return None if events is None else events._get_running_loop()


def dispatcher_here() -> Dispatcher:
    """Return where a handler runs that is set by the caller, in this thread."""
    loop = running_loop()
    return _own.expect() if loop is None else LoopDispatcher(loop)


def dispatcher_through(call: Callable[[Call], object]) -> Dispatcher:
    """
    Return where a handler runs that is set by the caller, in this thread, and is a pool's.

    Args:
        call: How the pool has something called where this is not on an asyncio loop.
    """
    here = dispatcher_here()
    return here if isinstance(here, LoopDispatcher) else _Through(call)


def place_to_interrupt() -> Dispatcher | None:
    """
    Return where a handler runs that the caller sets, and that is to hear while others are at work.

    Returns:
        The asyncio loop of this thread, or the main thread of a script. ``None`` elsewhere: a task
        comes back when it is done, and the program's threads never.
    """
    loop = running_loop()
    if loop is not None:
        return LoopDispatcher(loop)
    return _own if _own.is_of_script else None
