"""
Tests of `webworker_executor.web.luggage`: the list of a message is checked before anything happens.
"""

from __future__ import annotations

import pytest

from webworker_executor import DataCloneError, MessageChannel
from webworker_executor.web.luggage import Luggage


def test_a_list_is_checked_item_by_item() -> None:
    """What stands in the way is named by its place in the list."""
    block = bytearray(b"x")
    with MessageChannel() as channel:
        with pytest.raises(DataCloneError, match=r"transfer\[1\].*cannot be transferred"):
            Luggage(None, [block, {}], ())
        with pytest.raises(DataCloneError, match=r"transfer\[1\] stands in the list twice"):
            Luggage(None, [block, block], ())
        with pytest.raises(DataCloneError, match=r"transfer\[0\] is the port"):
            Luggage(channel.port1, [channel.port1], ())
        with pytest.raises(TypeError, match=r"transfer\[0\] is None"):
            Luggage(None, [None], ())
    assert b"x" == block


def test_descriptors_must_be_open() -> None:
    """A number that is no open descriptor is refused before anything is packed."""
    with pytest.raises(DataCloneError, match="no open descriptor"):
        Luggage(None, (), [1 << 20])
