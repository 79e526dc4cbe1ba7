"""
A generator sends as much as was asked for, and is closed however it ends.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from tests.pool import talking
from webworker_executor import WebWorkerExecutor, scope

if TYPE_CHECKING:
    from collections.abc import Iterator

    from webworker_executor.web.launchers import LauncherName


class Unending:
    """
    An iterable whose iterator has no ``close``.
    """

    def __iter__(self) -> Unending:
        return self

    def __next__(self) -> str:
        return "again"


def test_an_iterator_without_close_can_be_stopped(launcher: LauncherName) -> None:
    """
    It is simply left.
    """
    with WebWorkerExecutor(1, launcher=launcher) as pool:
        with pool.stream(Unending) as stream:
            assert ["again"] * 3 == [next(stream) for _ in range(3)]
        assert stream.future.result(10.0) is None


def test_an_item_that_does_not_pack_ends_the_stream() -> None:
    """
    The generator is closed, and the consumer gets the error.
    """
    with WebWorkerExecutor(1, launcher="fork") as pool:
        stream = pool.stream(_yield_a_lock)
        assert 1 == next(stream)
        with pytest.raises(TypeError, match="cannot pickle"):
            next(stream)
        assert "closed" == pool.submit(talking.state, "lock").result(10.0)


def _yield_a_lock() -> Iterator[object]:
    import threading

    try:
        yield 1
        yield threading.Lock()
    finally:
        scope.worker_state["lock"] = "closed"


class Torn:
    """
    Can be iterated over, but for a mistake.
    """

    def __iter__(self) -> Any:
        raise TypeError("torn")


def test_what_is_no_iterable() -> None:
    """
    It is told what came, and what was wanted; a mistake of an iterable's own stays what it is.
    """
    text = r"^stream\(\) wants a function .* this one returned int: "
    with WebWorkerExecutor(1, launcher="fork") as pool:
        with pytest.raises(TypeError, match=text):
            list(pool.stream(pow, 2, 3))
        with pytest.raises(TypeError, match=r"^torn$"):
            list(pool.stream(Torn))
