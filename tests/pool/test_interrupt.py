"""
Ctrl-C is known in every shape that it takes.
"""

from __future__ import annotations

import asyncio
import signal

import pytest

from webworker_executor.pool.interrupt import is_interrupt


@pytest.mark.parametrize(
    ("exc_type", "expected"),
    [
        (None, False),
        (KeyboardInterrupt, True),
        (type("Mine", (KeyboardInterrupt,), {}), True),
        (SystemExit, False),
        (asyncio.CancelledError, False),
    ],
)
def test_what_leaves_a_block(exc_type: type[BaseException] | None, expected: bool) -> None:
    """
    Only a ``KeyboardInterrupt`` is one by its class.
    """
    assert expected is is_interrupt(exc_type)


@pytest.mark.parametrize("is_pressed", [False, True])
def test_a_cancelled_main_task_of_asyncio(is_pressed: bool) -> None:
    """
    A main task that was cancelled by Ctrl-C is told from one that was cancelled otherwise.
    """
    seen: list[bool] = []

    async def main() -> None:
        task = asyncio.current_task()
        assert task is not None
        if is_pressed:
            signal.raise_signal(signal.SIGINT)
        else:
            task.cancel()
        try:
            await asyncio.sleep(10.0)
        except asyncio.CancelledError as error:
            seen.append(is_interrupt(type(error)))
            raise

    with pytest.raises(KeyboardInterrupt if is_pressed else asyncio.CancelledError):
        asyncio.run(main())
    assert [is_pressed] == seen
