"""
Answers of workers, to be unpacked by whoever asks for them.
"""

from __future__ import annotations

import functools

from webworker_executor.pool import broken
from webworker_executor.pool.future import Answer, FailureAnswer, is_main_thread
from webworker_executor.wire import codec
from webworker_executor.wire.frame import ANSWER_PREFIX, Frame

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from typing import Protocol
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
    if breakable is not None:
        opened = functools.partial(_open_or_break, payload, frame.buffers, frame.fds, breakable)
        return Answer(opened)
    return Answer(functools.partial(codec.unpack, payload, frame.buffers, frame.fds))


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
# Two that agree are enough, also where a signal handler has struck in between.
_N_ROUNDS = 5


def _open_or_break(
    payload: bytes, buffers: Sequence[memoryview], fds: Sequence[object], pool: Breakable
) -> object:
    try:
        return codec.unpack(payload, buffers, fds)
    except BaseException as error:
        pool.break_(broken.SUBMIT_TO_BROKEN)
        raise broken.broken(broken.PENDING_IN_BROKEN, error) from error


def open_failure(payload: bytes) -> BaseException:
    """
    Unpack an exception.

    Raises:
        BaseException: What a signal handler has raised meanwhile; it can be unpacked again.
    """
    mishaps: list[BaseException] = []
    try:
        exc, kinds = _unpack_alike(payload, mishaps)
        mishaps[:] = filter(lambda error: type(error) not in kinds, mishaps)
        if mishaps:
            raise mishaps[0]
        return exc
    finally:
        # They refer to this frame, which must not refer to them.
        mishaps.clear()


def _unpack_alike(
    payload: bytes, mishaps: list[BaseException]
) -> tuple[BaseException, set[type[BaseException]]]:
    """Unpack until nothing is raised on the way, or nothing but what was the last time, too."""
    # Here, because most programs never meet one.
    from webworker_executor.wire.failure import unpack_failure

    # Whose it is cannot be told from it: what the exception's class does may raise whatever a
    # signal handler may. But it does so each time.
    kinds: set[type[BaseException]] = set()
    for _ in range(_N_ROUNDS):
        n_before, before = len(mishaps), kinds
        exc = unpack_failure(payload, mishaps.append)
        kinds = set(map(type, mishaps[n_before:]))
        if kinds in (set(), before) or not is_main_thread():
            break
    return exc, kinds


def failure_opener(payload: bytes) -> Callable[[], BaseException]:
    """Return a function that unpacks an exception once and gives the same one ever after."""
    return functools.cache(functools.partial(open_failure, payload))
