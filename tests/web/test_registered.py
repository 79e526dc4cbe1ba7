"""
Tests of `webworker_executor.web.registered`: each receipt is given once, whatever becomes of it.
"""

from __future__ import annotations

from collections import deque
from functools import partial
from typing import TYPE_CHECKING, NoReturn

import pytest

from tests.threads import run_together
from webworker_executor.web.message import REGISTERED, event_of
from webworker_executor.web.messaging import MessageTarget
from webworker_executor.web.registered import Receipts
from webworker_executor.wire import codec
from webworker_executor.wire.frame import Frame
from webworker_executor.wire.kinds import MESSAGE

if TYPE_CHECKING:
    from collections.abc import Callable


def at_once(call: Callable[[], object]) -> Callable[[], object]:
    """Finalize at once, without a reactor."""
    return call


def frame_of(value: object) -> Frame:
    return Frame(MESSAGE, REGISTERED, codec.pack(value).payload)


def test_a_receipt_is_given_when_the_message_is_taken() -> None:
    """
    Not before.
    """
    receipts, given = Receipts(), list[int]()
    inbox = deque([receipts.owe(frame_of("one"), lambda: given.append(1), at_once)])
    inbox.append(receipts.owe(frame_of("two"), lambda: given.append(2), at_once))
    assert [] == given
    assert "one" == event_of(inbox.popleft()).data
    assert [1] == given
    # Whoever has lost interest has taken it, too.
    inbox.clear()
    assert [1, 2] == given


def test_a_message_that_does_not_unpack_is_taken() -> None:
    """
    The error does not keep it.
    """
    receipts, given = Receipts(), list[int]()
    frame = Frame(MESSAGE, REGISTERED, b"nonsense")
    inbox = [receipts.owe(frame, lambda: given.append(1), at_once)]
    with pytest.raises(Exception, match="invalid load key"):
        event_of(inbox.pop())
    assert [1] == given


@pytest.mark.parametrize("error", [ValueError, SystemExit])
def test_a_message_that_does_not_unpack_is_taken_by_who_keeps_the_error(
    error: type[BaseException],
) -> None:
    """
    Also where he has received it, and so is in the error's traceback with what he received.
    """
    receipts, given, target = Receipts(), list[int](), MessageTarget()
    frame = Frame(MESSAGE, REGISTERED, codec.pack(Unopenable(error)).payload)
    target._arrive(receipts.owe(frame, lambda: given.append(1), at_once))
    del frame
    with pytest.raises(error, match="not here") as caught:
        target.receive(0)
    assert [1] == given
    assert caught.value.__traceback__ is not None


class Unopenable:
    def __init__(self, error: type[BaseException]) -> None:
        self.error = error

    def __reduce__(self) -> tuple[object, ...]:
        return refuse, (self.error,)


def refuse(error: type[BaseException]) -> NoReturn:
    raise error("not here")


def test_receipts_given_early() -> None:
    """
    For what is there and for what comes; not once more when it is taken.
    """
    receipts, given = Receipts(), list[int]()
    first = receipts.owe(frame_of("one"), lambda: given.append(1), at_once)
    receipts.give_early()
    assert [1] == given
    second = receipts.owe(frame_of("two"), lambda: given.append(2), at_once)
    assert [1, 2] == given
    assert ["one", "two"] == [event_of(first).data, event_of(second).data]
    del first, second
    assert [1, 2] == given


@pytest.mark.slow
def test_early_receipts_while_messages_come_and_go() -> None:
    """
    From several threads: each once.
    """
    for _ in range(200):
        receipts, given = Receipts(), list[int]()

        def come(
            start: int, receipts: Receipts = receipts, given: list[int] = given
        ) -> list[Frame]:
            numbers = range(start, start + 20)
            return [receipts.owe(frame_of(n), partial(given.append, n), at_once) for n in numbers]

        run_together(partial(come, 0), receipts.give_early, partial(come, 20))
        assert list(range(40)) == sorted(given)
