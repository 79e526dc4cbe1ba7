"""
Streams: the items of a generator in a worker, as they come.

The consumer grants so many items ahead; the generator rests when they are used up. In the worker
``run_stream`` drives it. Whoever stops early closes the generator, and the end of the worker is an
error here and never a wait.
"""

from __future__ import annotations

import weakref
from typing import TYPE_CHECKING, Any, Generic, Self, TypeVar

from webworker_executor.errors import PortClosedError
from webworker_executor.pool.inside import run_stream
from webworker_executor.pool.talk import conversation_of
from webworker_executor.wire.frame import CREDIT, CREDITS

if TYPE_CHECKING:
    from collections.abc import AsyncIterable, Callable, Iterable

    from webworker_executor.pool.future import WorkerFuture
    from webworker_executor.pool.talk import Conversation

T = TypeVar("T")

# Items on their way, made before anybody asked for them.
WINDOW = 16


class Stream(Generic[T]):
    """
    What a generator yields in a worker; an iterator and an asynchronous iterator.

    Made by ``executor.stream``. To be used from one thread or asyncio task at a time.

    Args:
        submit: Submits the task.
        fn: Returns an iterable, in the worker.
        args: Its arguments.
        kwargs: Its keyword arguments.
        window: How many items may be made ahead.

    Attributes:
        future: Of the task. Its result is ``None``; its exception is raised by the iterator.
    """

    def __init__(
        self,
        submit: Callable[..., WorkerFuture[None]],
        fn: Callable[..., Iterable[T] | AsyncIterable[T]],
        args: tuple[Any, ...],
        kwargs: dict[str, Any],
        window: int = WINDOW,
    ) -> None:
        self.future = submit(run_stream, fn, args, kwargs, window)
        self._conversation = conversation_of(self.future)
        self._conversation.be_stream()
        self._items = self._conversation.items
        self._window = window
        self._n_taken = 0
        self._is_closed = False
        # Forgotten, it is closed; by a thread that may take locks, as a finalizer must not.
        self._finalizer = weakref.finalize(
            self, _close_later, self.future, self._conversation, self.future._owner
        )
        self._finalizer.atexit = False

    def __repr__(self) -> str:
        return f"<Stream {'closed' if self._is_closed else 'open'} of {self.future!r}>"

    def __iter__(self) -> Stream[T]:
        return self

    def __next__(self) -> T:
        """
        Return the next item.

        Raises:
            StopIteration: The generator has ended, or the stream was closed.
            BaseException: What the generator raised, with its traceback; what ended its worker.
        """
        if self._is_closed:
            raise StopIteration
        try:
            event = self._items.receive()
        except PortClosedError:
            self._end()
            raise StopIteration from None
        except BaseException:
            self.close()
            raise
        return self._taken(event.data)

    def __aiter__(self) -> Stream[T]:
        return self

    async def __anext__(self) -> T:
        """Return the next item on the running loop; raises as ``__next__`` does."""
        if self._is_closed:
            raise StopAsyncIteration
        try:
            event = await self._items.areceive()
        except PortClosedError:
            self._end()
            raise StopAsyncIteration from None
        except Exception:
            self.close()
            raise
        return self._taken(event.data)

    def _taken(self, item: T) -> T:
        self._n_taken += 1
        # One message for several items: half a window is there while it travels.
        if 2 * self._n_taken >= self._window:
            self._conversation.say(CREDIT, CREDITS.pack(self._n_taken))
            self._n_taken = 0
        return item

    def _end(self) -> None:
        """Raise what ended the task, if it is an error."""
        self._is_closed = True
        self._finalizer.detach()
        # Done before its items are told to be over: this waits for nothing.
        self.future.result()

    def close(self) -> None:
        """
        Stop: the generator sees ``GeneratorExit`` where it rests, or at its next ``yield``.

        Returns at once; closing twice is fine. To end a generator that does not yield any more
        there is ``stream.future.abort()``.
        """
        self._is_closed = True
        if self._finalizer.detach() is not None:
            _close(self.future, self._conversation)

    async def aclose(self) -> None:
        """Stop, as ``close`` does."""
        self.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        self.close()


def _close(future: WorkerFuture[None], conversation: Conversation) -> None:
    if not future.cancel():
        conversation.say(CREDIT, CREDITS.pack(-1))


def _close_later(future: WorkerFuture[None], conversation: Conversation, owner: Any) -> None:
    if owner is not None and not future.done():
        owner.crew.call_soon(lambda: _close(future, conversation))
