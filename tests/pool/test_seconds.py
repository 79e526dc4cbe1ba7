"""
A time that somebody is to wait is a number, and has an end.
"""

from __future__ import annotations

import math

import pytest

from webworker_executor.pool.seconds import check_seconds


@pytest.mark.parametrize("value", [0, 0.0, 1e-9, 5, 31 * 86400.0])
def test_what_is_a_time(value: float) -> None:
    """
    However short or long.
    """
    check_seconds("timeout", value)


@pytest.mark.parametrize("value", [-1, -0.001, math.inf, -math.inf, math.nan])
def test_what_is_no_time(value: float) -> None:
    """
    The error names the argument and what was given.
    """
    with pytest.raises(ValueError, match=f"^grace must be 0 seconds or more, not {value!r}$"):
        check_seconds("grace", value)


def test_where_no_time_is_none() -> None:
    """
    A limit of no seconds would end everything before it begins.
    """
    with pytest.raises(ValueError, match=r"^timeout must be more than 0 seconds, not 0$"):
        check_seconds("timeout", 0, may_be_zero=False)


@pytest.mark.parametrize("value", ["5", None, []])
def test_what_is_no_number(value: object) -> None:
    """
    The mistake is told at the call.
    """
    with pytest.raises(TypeError, match=r"^timeout must be a number of seconds, not "):
        check_seconds("timeout", value)
