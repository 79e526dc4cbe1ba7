"""
Tests of `webworker_executor.wire.shown`: values of the user in one line of an error.
"""

from __future__ import annotations

from typing import NoReturn

import pytest

from webworker_executor import DataCloneError, MessageChannel
from webworker_executor.wire.shown import cut, shown


class Shy:
    """
    Cannot be shown.
    """

    def __repr__(self) -> NoReturn:
        raise RuntimeError("not today")


def test_what_is_short_is_shown_whole() -> None:
    """
    Without dots, up to the very limit.
    """
    assert "'ab'" == shown("ab") == shown("ab", 4)
    assert "abcd" == cut("abcd", 4)


def test_what_is_cut_says_so() -> None:
    """
    Nobody takes the beginning for the whole.
    """
    assert "[0, 1, 2,..." == shown(list(range(100)), 12)
    assert "a..." == cut("abcde", 4)


def test_a_repr_that_fails() -> None:
    """
    It does not take the place of the error that is to be told.
    """
    assert "<Shy object that cannot be shown>" == shown(Shy())
    assert "<Shy obje..." == shown(Shy(), 12)


def test_in_an_error() -> None:
    """
    The rest of the sentence goes on behind the dots.
    """
    with (
        MessageChannel() as channel,
        pytest.raises(DataCloneError, match=r", 16\.\.\., cannot be transf"),
    ):
        channel.port1.post_message(1, [list(range(100))])
