"""
Streams: the items of a generator in a worker, as they come.

The consumer grants so many items ahead; the generator rests when they are used up. In the worker
``run_stream`` drives it. Whoever stops early closes the generator, and the end of the worker is an
error here and never a wait.
"""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Any, Generic, Self, TypeVar

from webworker_executor.errors import PortClosedError
from webworker_executor.pool.inside import run_stream
from webworker_executor.pool.talk import conversation_of
from webworker_executor.wire.kinds import CREDIT, CREDITS

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

    # Forgotten, it is closed: by a finalizer of C, which each has as a value. One of Python is a
    # step in which a signal handler may raise, and then its generator would rest for ever.
    __slots__ = ("__del__", "__dict__", "__weakref__")

    def __init__(
        self,
        submit: Callable[..., WorkerFuture[None]],
        fn: Callable[..., Iterable[T] | AsyncIterable[T]],
        args: tuple[Any, ...],
        kwargs: dict[str, Any],
        window: int = WINDOW,
    ) -> None:
        if not callable(fn):
            raise TypeError(
                f"stream() takes a function that returns an iterable, not {type(fn).__name__}; "
                "write stream(numbers, 10), not stream(numbers(10))"
            )
        self.future = submit(run_stream, fn, args, kwargs, window)
        try:
            self._conversation = conversation_of(self.future)
            self._conversation.be_stream()
            self._items = self._conversation.items
            self._window = window
            self._n_taken = 0
            self._is_closed = False
            owner: Any = self.future._owner
            if owner is not None:
                # By a thread that may take locks, as a finalizer must not.
                close = partial(_close, self.future, self._conversation)
                self.__del__ = owner.crew.finalizer(close)
        except BaseException:
            # A signal handler has raised, and this is nobody's.
            forsake(run_stream, self.future)
            raise

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
            # Both in here: what a signal handler raises between them takes the item along, and the
            # credit for the next one.
            return self._taken(self._items.receive().data)
        except PortClosedError:
            self._end()
            raise StopIteration from None
        except BaseException:
            self.close()
            raise

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
        # Done before its items are told to be over: this waits for nothing.
        self.future.result()

    def close(self) -> None:
        """
        Stop: the generator sees ``GeneratorExit`` where it rests, or at its next ``yield``.

        Returns at once; closing twice is fine. To end a generator that does not yield any more
        there is ``stream.future.abort()``.
        """
        self._is_closed = True
        # Twice does no harm: also where a signal handler raises here, what drops it closes it.
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


def forsake(fn: Callable[..., Any], future: WorkerFuture[Any]) -> None:
    """
    Close a stream that nobody will ever have, because its making was broken off.

    A signal handler may raise when the task has been handed over, and then it runs. Any other task
    comes to its end; this one would use up its window and rest, and its worker with it.

    Args:
        fn: What was submitted: for any other task nothing is done.
        future: Of the task.
    """
    if fn is run_stream:
        _close(future, conversation_of(future))


def _close(future: WorkerFuture[None], conversation: Conversation) -> None:
    if not future.cancel():
        conversation.say(CREDIT, CREDITS.pack(-1))
