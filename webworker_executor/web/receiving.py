"""
Waiting for messages: in the caller's thread, on an asyncio loop, or in a ``for``.

Not for what is pushed to listeners (``inbox``), nor for posting (``messaging``). A worker imports
this module at its start, so it imports the least.

The thing to know before a change: whoever waits leaves something to be called in ``_waiters``, and
then looks once more. Who brings a message calls all of them, so that no waiter that has just given
up can keep another one from it.
"""

from __future__ import annotations

import _thread
from time import monotonic

from webworker_executor.web.inbox import Inbox
from webworker_executor.web.message import event_of
from webworker_executor.web.seconds import seconds_to_wait

TYPE_CHECKING = False
if TYPE_CHECKING:
    from asyncio import AbstractEventLoop
    from collections.abc import AsyncIterator, Callable, Iterator
    from typing import Any, NoReturn

    from webworker_executor.web.event import MessageEvent


class Receiver(Inbox):
    """
    Something that messages can be awaited from, while nobody listens for them.

    Source: Node.js, ``receiveMessageOnPort``, which does not wait.
    """

    def receive(self, timeout: float | None = None) -> MessageEvent:
        """
        Wait for the next message, in this thread; only while nobody listens.

        Args:
            timeout: Seconds to wait at most; ``None`` waits for ever.

        Returns:
            The next message, in order.

        Raises:
            TypeError: ``timeout`` is no number.
            ValueError: It is NaN.
            TimeoutError: None came in time.
            PortClosedError: None is left, and none will come.
            InvalidStateError: Listeners take the messages.
            Exception: What unpacking the message raised. It is gone; the next one is not.

        Source: Node.js, ``receiveMessageOnPort``, which does not wait.
        """
        if self._is_delivering():
            self._refuse_to_pull()
        # Asked first: an exception of each empty look would cost as much as the rest.
        event = self._next_message() if self._inbox else None
        return self._awaited_message(timeout) if event is None else event

    def receive_nowait(self) -> MessageEvent | None:
        """
        Return the next message, or ``None`` if there is none yet.

        Raises:
            InvalidStateError: Listeners take the messages.
            Exception: As for ``receive``.
        """
        if self._is_delivering():
            self._refuse_to_pull()
        if not self._inbox:
            self._look()
        return self._taken()

    async def areceive(self) -> MessageEvent:
        """
        Wait for the next message on the running asyncio loop. A cancelled wait loses none.

        Raises:
            PortClosedError: None is left, and none will come.
            InvalidStateError: Listeners take the messages.
            Exception: As for ``receive``.
        """
        import asyncio

        loop = asyncio.get_running_loop()
        while True:
            if self._is_delivering():
                self._refuse_to_pull()
            self._look()
            event = self._next_message()
            if event is not None:
                return event
            came = loop.create_future()
            # Threads that bring a message know nothing of loops.
            waiter = _waker(loop, came)
            self._waiters[waiter] = waiter
            self._begin_await(loop)
            try:
                if not self._has_news():
                    await came
            finally:
                self._end_await(loop)
                self._waiters.pop(waiter, None)

    def __iter__(self) -> Iterator[MessageEvent]:
        """Give the messages as they come, until the other side closes."""
        from webworker_executor.errors import PortClosedError

        while True:
            try:
                event = self.receive()
            except PortClosedError:
                return
            yield event

    async def __aiter__(self) -> AsyncIterator[MessageEvent]:
        """Give the messages as they come, until the other side closes."""
        from webworker_executor.errors import PortClosedError

        while True:
            try:
                event = await self.areceive()
            except PortClosedError:
                return
            yield event

    # -- what a subclass may say otherwise

    def _look(self) -> None:
        """Read without waiting, if it is not done elsewhere; for subclasses."""

    def _await_arrival(self, timeout: float | None) -> None:
        """Wait until something may have come; for subclasses that read in the caller's thread."""
        self._sleep(timeout, self._must_wait)

    def _sleep(self, timeout: float | None, must_sleep: Callable[[], object]) -> None:
        """Sleep until there is news, unless there was, which is asked when it would wake us."""
        lock = _thread.allocate_lock()
        lock.acquire()
        self._waiters[lock] = lock.release
        try:
            if not must_sleep():
                return
            if timeout is None:
                lock.acquire()
            else:
                lock.acquire(True, max(timeout, 0.0))
        finally:
            self._waiters.pop(lock, None)

    def _must_wait(self) -> bool:
        """Whether nothing has come yet, in this thread."""
        return not self._has_news()

    def _has_news(self) -> object:
        """Whether something has come, or nothing is to be waited for any more; for subclasses."""
        return self._inbox or self._has_ended

    def _begin_await(self, loop: AbstractEventLoop) -> None:
        """Follow the begin of a wait in ``areceive``; for subclasses."""

    def _end_await(self, loop: AbstractEventLoop) -> None:
        """Follow the end of a wait in ``areceive``; for subclasses."""

    # -- messages that are pulled

    def _taken(self) -> MessageEvent | None:
        """Take out the first message, ``None`` if there is none."""
        inbox = self._inbox
        if not inbox:
            return None
        # As `_first` does, without the call.
        frame = inbox[0]
        del inbox[0]
        try:
            return event_of(frame, self._source())
        except BaseException:
            if frame.payload:
                # A signal handler has raised.
                inbox.appendleft(frame)
                self._stir()
            raise

    def _next_message(self) -> MessageEvent | None:
        """Return one, ``None`` if there is none yet; raises ``PortClosedError`` at the end."""
        # Looked at first: what came before the end is in the inbox when the end is seen.
        has_ended = self._has_ended
        if self._inbox:
            # None if another thread was faster.
            return self._taken()
        if not has_ended:
            return None
        from webworker_executor.errors import PortClosedError

        self._stir()
        raise PortClosedError(self._why_ended())

    def _awaited_message(self, timeout: float | None) -> MessageEvent:
        if timeout is None and not self._has_ended:
            self._await_arrival(None)
            # Most waits end so.
            event = self._taken()
            if event is not None:
                return event
        seconds = left = seconds_to_wait(timeout)
        deadline = None if seconds is None else monotonic() + seconds
        while True:
            event = self._next_message()
            if event is not None:
                return event
            if left is not None and left <= 0:
                # Once more: with no time at all, what is there already counts as in time.
                self._look()
                event = self._next_message()
                if event is not None:
                    return event
                raise TimeoutError(f"no message came to {self!r} in {seconds:g} s")
            if self._is_delivering():
                # Since this thread has begun to wait.
                self._refuse_to_pull()
            self._await_arrival(left)
            if deadline is not None:
                left = deadline - monotonic()

    def _why_ended(self) -> str:
        return (
            f"no message is left for {self!r}, and none will come: the other side was closed, or "
            "its process has ended"
        )

    def _refuse_to_pull(self) -> NoReturn:
        from webworker_executor.errors import InvalidStateError

        raise InvalidStateError(
            f"receive() gets nothing from {self!r}, whose messages go to its listeners; either "
            "listen, or receive"
        )


def _waker(loop: AbstractEventLoop, came: Any) -> Callable[[], None]:
    def resolve() -> None:
        if not came.done():
            came.set_result(None)

    def wake() -> None:
        try:
            loop.call_soon_threadsafe(resolve)
        except RuntimeError:
            # The loop was closed while somebody waited on it: there is nobody to wake.
            pass

    return wake
