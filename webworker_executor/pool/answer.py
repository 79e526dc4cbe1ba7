"""
Answers of workers, to be unpacked by whoever asks for them.
"""

from __future__ import annotations

import functools

from webworker_executor.link.thread import is_main_thread
from webworker_executor.pool import broken
from webworker_executor.pool.future import Answer, FailureAnswer
from webworker_executor.pool.mishaps import unpack_alike
from webworker_executor.wire import codec
from webworker_executor.wire.kinds import ANSWER_PREFIX

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from typing import Protocol

    from webworker_executor.wire.frame import Frame
else:
    # The type checker's alone: to import it takes 3 ms.
    Protocol = object


class Breakable(Protocol):
    """A pool that one bad answer breaks, as the stdlib's does."""

    def break_(self, text: str) -> None:
        """Fail everything."""


def read_result(frame: Frame, breakable: Breakable | None) -> object:
    """
    Return what a future is to hold for the frame of a result.

    Args:
        frame: A ``RESULT``.
        breakable: The pool, if it is to break when the value does not unpack.
    """
    # Copied out, so that an answer does not keep alive all that came in the same read.
    payload = bytes(frame.payload[ANSWER_PREFIX.size :])
    if payload == _NONE:
        return None
    return ResultAnswer(payload, frame.buffers, frame.fds, breakable)


class ResultAnswer(Answer):
    """
    An answer that is a value.

    Args:
        payload: As ``codec.unpack`` takes it, like what follows.
        buffers: The same.
        fds: The same. What came with some cannot be unpacked twice.
        breakable: The pool, if it is to break when the value does not unpack.
    """

    __slots__ = ("_breakable", "_buffers", "_fds", "_payload")

    def __init__(
        self,
        payload: bytes,
        buffers: Sequence[memoryview],
        fds: Sequence[object],
        breakable: Breakable | None,
    ) -> None:
        self._payload = payload
        self._buffers = buffers
        self._fds = fds
        self._breakable = breakable

    def open(self) -> object:
        return codec.unpack(self._payload, self._buffers, self._fds)

    def fail(self, error: BaseException) -> BaseException:
        if isinstance(error, KeyboardInterrupt):
            # The program's own Ctrl-C, however often it comes.
            return super().fail(error)
        try:
            if is_main_thread() and not self._fds:
                unpack_alike(self._try, [error])
            if self._breakable is None:
                return error
            self._breakable.break_(broken.SUBMIT_TO_BROKEN)
            return broken.broken(broken.PENDING_IN_BROKEN, error)
        finally:
            # As above.
            del error

    def _try(self, note: Callable[[BaseException], object]) -> None:
        try:
            self.open()
        except BaseException as error:
            note(error)


def read_failure(frame: Frame) -> FailureAnswer:
    """
    Return what a future is to hold for the frame of an exception.

    Args:
        frame: A ``RAISE`` or ``REJECT``.
    """
    # Copied out, as above.
    payload = bytes(frame.payload[ANSWER_PREFIX.size :])
    return FailureAnswer(functools.partial(open_failure, payload))


_NONE = codec.pack(None).payload


def open_failure(payload: bytes) -> BaseException:
    """
    Unpack an exception.

    Raises:
        BaseException: What a signal handler has raised meanwhile; it can be unpacked again.
    """
    # Here, because most programs never meet one.
    from webworker_executor.wire.failure import unpack_failure

    return unpack_alike(functools.partial(unpack_failure, payload), [])


def failure_opener(payload: bytes) -> Callable[[], BaseException]:
    """Return a function that unpacks an exception once and gives the same one ever after."""
    return functools.cache(functools.partial(open_failure, payload))
