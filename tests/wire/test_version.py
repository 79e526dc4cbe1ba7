"""
A global variable has the same version for as long as its content is the same.
"""

from __future__ import annotations

import signal
import sys

import pytest

from webworker_executor.wire.version import version


def make() -> object:
    class Local: ...

    return Local


def test_equal_content_has_one_version() -> None:
    """
    The version of a mutable value follows its content.
    """
    value = [1, {"a": len}]
    before = version(value)
    assert before == version(value)
    value.append(2)
    assert before != version(value)
    value.pop()
    assert before == version(value)


def test_functions_and_classes_count_by_identity() -> None:
    """
    A class that was defined anew has another version, however alike it is.
    """
    first, second = make(), make()
    assert version(first) == version(first)
    assert version(first) != version(second)
    assert version(make) != version(version)


def test_what_does_not_pickle_has_none() -> None:
    """
    What cannot be compared has no version, and so counts as changed.
    """
    assert version(sys._getframe()) is None


class Late:
    """Rings an alarm while it is packed."""

    def __reduce__(self) -> tuple[type, tuple[()]]:
        signal.raise_signal(signal.SIGALRM)
        return Late, ()


def test_what_a_signal_handler_raises_is_not_said_of_the_value() -> None:
    """
    It would count as one that does not pickle.
    """

    def ring(*_: object) -> None:
        raise LookupError("rung")

    before = signal.signal(signal.SIGALRM, ring)
    try:
        with pytest.raises(LookupError, match="rung"):
            version(Late())
    finally:
        signal.signal(signal.SIGALRM, before)
