"""
What a call has returned: a value, or a coroutine that is run to its end.
"""

from __future__ import annotations

import asyncio
import types

import pytest

from webworker_executor.web.awaited import CoroutineType, ended


def test_a_value_is_itself() -> None:
    """
    Whatever it is.
    """
    value = object()
    assert value is ended(value)


def test_a_coroutine_is_run() -> None:
    """
    To what it returns or raises, which has no context of ours.
    """

    async def divide(by: int) -> float:
        await asyncio.sleep(0)
        return 1 / by

    assert 0.5 == ended(divide(2))
    with pytest.raises(ZeroDivisionError) as caught:
        ended(divide(0))
    assert caught.value.__context__ is None


def test_the_class_is_the_usual_one() -> None:
    """
    Found without the module that names it.
    """
    assert types.CoroutineType is CoroutineType
