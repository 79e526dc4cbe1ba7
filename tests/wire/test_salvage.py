"""
Tests of `webworker_executor.wire.salvage`: what cannot be packed as a whole is packed in parts.
"""

from __future__ import annotations

import threading
import traceback
from typing import TYPE_CHECKING

import pytest

from webworker_executor import WebWorkerExecutor
from webworker_executor.wire.salvage import Salvageable

if TYPE_CHECKING:
    from typing import Any


class Pair(Salvageable):
    """
    A lock, which does not pack, and a number.
    """

    def __init__(self, number: int) -> None:
        self.lock = threading.Lock()
        self.number = number

    def salvaged(self) -> tuple[str, int]:
        return ("lost", self.number)


class Hopeless(Salvageable):
    """
    Nothing of it can be had.
    """

    def __reduce__(self) -> Any:
        raise OSError("as a whole")

    def salvaged(self) -> object:
        raise ValueError("in parts")


@pytest.fixture
def executor() -> Any:
    """
    Make a pool of one worker.
    """
    with WebWorkerExecutor(1, launcher="fork") as executor:
        yield executor


def test_what_can_be_packed_arrives(executor: WebWorkerExecutor) -> None:
    """
    The result of a task is what was saved of it.
    """
    result: Any = executor.submit(Pair, 7).result(10.0)
    assert ("lost", 7) == result


def test_what_saving_raises_is_the_whole_story(executor: WebWorkerExecutor) -> None:
    """
    The future has that exception, and not the one before it.
    """
    error = executor.submit(Hopeless).exception(10.0)
    assert isinstance(error, ValueError)
    assert "as a whole" not in "".join(traceback.format_exception(error))


def test_any_other_value_is_not_tried_twice(executor: WebWorkerExecutor) -> None:
    """
    What does not pack is told as it was raised.
    """
    with pytest.raises(TypeError, match="cannot pickle"):
        executor.submit(threading.Lock).result(10.0)


def test_it_says_that_it_does_not_know() -> None:
    """
    Whoever makes such a value must say what can be saved.
    """
    with pytest.raises(NotImplementedError):
        Salvageable().salvaged()
