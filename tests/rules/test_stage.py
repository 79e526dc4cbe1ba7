"""
The states of a pool's life.
"""

from __future__ import annotations

import pytest

from webworker_executor.rules.machine import InvalidTransition
from webworker_executor.rules.stage import BROKEN, OPEN, POOL_TABLE, STOPPED


def test_only_a_shut_pool_stops() -> None:
    """An open pool, broken or not, does not stop by itself."""
    for state in (OPEN, BROKEN):
        with pytest.raises(InvalidTransition):
            POOL_TABLE[state]["stop"]


def test_a_broken_pool_can_be_shut_down() -> None:
    """Breaking does not replace the shutdown."""
    assert STOPPED == POOL_TABLE[POOL_TABLE[BROKEN]["shutdown"]]["stop"]
