"""
Requests to what is exposed on the other side of a port, and the replies that wait for answers.

Not for what is asked: see ``proxy``. The thing to know before a change: no reply may ever be left
without an answer. Who waits for answers is a thread of this side, and not a handler: a handler may
have to wait for the very code that waits for the answer.
"""

from __future__ import annotations

import asyncio
import itertools
import logging
from concurrent.futures._base import FINISHED, RUNNING
from typing import TYPE_CHECKING, Any

from webworker_executor.errors import PortClosedError
from webworker_executor.link.thread import ServiceThread
from webworker_executor.web.lazy import LazyFuture
from webworker_executor.web.request_ident import RequestIdent, take_ident
from webworker_executor.wire.failure import unpack_failure

if TYPE_CHECKING:
    from collections.abc import Callable, Generator

    from webworker_executor.web.port import MessagePort
    from webworker_executor.web.port_link import PortLink

Path = tuple[str, ...]

_log = logging.getLogger("webworker_executor.web")


_WAIT_WITHIN_POST = (
    "a signal handler cannot wait for an answer where it has interrupted a call of the same proxy, "
    "which must be sent first. Make the call, and wait when the handler has returned."
)


class Reply(LazyFuture[Any]):
    """
    The answer to a request; a ``concurrent.futures.Future`` that can be awaited.

    Not made by hand: what calls of a proxy return.
    """

    def __init__(self, link: PortLink | None) -> None:
        super().__init__()
        self._state = RUNNING
        self._link = link

    def __reduce__(self) -> Any:
        raise TypeError(
            "a Reply cannot be sent: it belongs to who has made the call. Pass its result()"
        )

    def __await__(self) -> Generator[Any, None, Any]:
        return asyncio.wrap_future(self).__await__()

    def cancel(self) -> bool:
        """Return False: a request that was sent will be answered."""
        return False

    def result(self, timeout: float | None = None) -> Any:
        """
        Wait for the answer, and return it.

        Args:
            timeout: Seconds to wait at most; ``None`` waits for ever.

        Raises:
            BaseException: What was raised there, with its traceback.
            PortClosedError: The other side is gone, or the proxy was released.
            TypeError: ``timeout`` is no number.
            ValueError: It is NaN.
            TimeoutError: The answer was not there in time.
            RuntimeError: This is a signal handler that has interrupted a call of the same proxy.

        Source: concurrent.futures, ``Future.result``.
        """
        return super().result(timeout)

    def exception(self, timeout: float | None = None) -> BaseException | None:
        """
        Wait for the answer, and return what was raised.

        Args:
            timeout: Seconds to wait at most; ``None`` waits for ever.

        Returns:
            What ``result`` would raise, ``PortClosedError`` as well; ``None`` for a value.

        Raises:
            TypeError: ``timeout`` is no number.
            ValueError: It is NaN.
            TimeoutError: The answer was not there in time.
            RuntimeError: As ``result``.
        """
        return super().exception(timeout)

    def settle(self, value: object = None, error: BaseException | None = None) -> None:
        """Resolve, unless that was done; any thread, and again where a signal handler raised."""
        # The first outcome is everybody's, of several threads too.
        outcome = self.__dict__.setdefault("_outcome", (value, error))
        self._settle(FINISHED, *outcome)

    def _sleep(self, timeout: float | None) -> None:
        # What is being written goes out before the request does.
        if self._link is not None and self._link.is_writing_here and timeout != 0:
            raise RuntimeError(_WAIT_WITHIN_POST)
        super()._sleep(timeout)

    def _defer(self, call: Callable[[], object]) -> None:
        # Not on the events thread: what runs there may wait for this very answer.
        try:
            ServiceThread(call, "webworker-reply").start()
        except RuntimeError:
            # No thread is to be had.
            call()


class Connection:
    """
    The requests that wait for an answer, and the thread that waits with them.

    Args:
        port: To who answers; nobody else's from here.
    """

    def __init__(self, port: MessagePort) -> None:
        self._port = port
        self._idents = itertools.count()
        # Each step is a single one of C, so that no lock is needed. With each reply what keeps the
        # connection meanwhile: nobody else may.
        self._waiting: dict[int, tuple[Reply, object]] = {}
        self._why_closed: str | None = None
        # From the first request on: it refers to this object, which nobody but a collection of
        # garbage would free before that.
        self._services: dict[None, ServiceThread] = {}

    def request(
        self, kind: str, path: Path, args: tuple[Any, ...], kwargs: Any, lease: object
    ) -> Reply:
        """
        Send a request; any thread.

        Args:
            kind: What is asked.
            path: Of what, from the exposed object on.
            args: Positional arguments.
            kwargs: Keyword arguments.
            lease: Kept until there is an answer.

        Raises:
            RuntimeError: No thread can be started to wait for the answer.
            Exception: What packing the arguments raises.
        """
        reply = Reply(self._port._link)
        ident = next(self._idents)
        self._waiting[ident] = reply, lease
        try:
            if self._why_closed is None:
                self._port.post_message((RequestIdent(ident), kind, path, args, kwargs))
            self._start()
        except BaseException:
            self._waiting.pop(ident, None)
            raise
        if self._why_closed is not None:
            self._fail_all()
        return reply

    def _start(self) -> None:
        if not self._services:
            # Two threads may come here at once; the first one's is everybody's.
            service = ServiceThread(self._listen, "webworker-proxy")
            self._services.setdefault(None, service)
        self._services[None].start()

    def farewell(self) -> Callable[[], object]:
        """
        Return what has the port closed when nobody can ask any more, as a ``__del__``.

        Where the thread was started, it finds the end, and closes; else nobody has the port.
        """
        link = self._port._link
        return bool if link is None else link.stopper()

    def _listen(self) -> None:
        is_over = False
        while not is_over:
            try:
                is_over = self._take_answer()
            except BaseException:
                _log.exception("a callback of a reply failed")

    def _take_answer(self) -> bool:
        """Wait for an answer and resolve its reply; returns whether it was the end."""
        try:
            _, is_value, value = self._port.receive().data
        except PortClosedError:
            self.close("the other side was closed, or its process has ended")
            return True
        except BaseException as exc:
            # Also what would end this thread: others wait for it.
            is_value, value = False, exc
        self._settle(take_ident(), is_value, value)
        return False

    def _settle(self, ident: int | None, is_value: bool, value: Any) -> None:
        # What does not even unpack to its number is everybody's: one of them waits for it.
        for key in tuple(self._waiting) if ident is None else (ident,):
            reply, _ = self._waiting.pop(key, (None, None))
            if reply is None:
                continue
            if is_value:
                reply.settle(value)
            else:
                reply.settle(error=unpack_failure(value) if isinstance(value, bytes) else value)

    def close(self, why: str) -> None:
        """Fail what waits, now and later; any thread."""
        self._why_closed = self._why_closed or why
        self._port.close()
        self._fail_all()

    def _fail_all(self) -> None:
        for ident in tuple(self._waiting):
            reply, _ = self._waiting.get(ident, (None, None))
            if reply is None:
                continue
            error = PortClosedError(f"the object cannot answer: {self._why_closed}")
            try:
                reply.settle(error=error)
            except BaseException:
                # Of a callback, or of a signal handler; so it is taken out only then.
                self._fail_all()
                raise
            self._waiting.pop(ident, None)
