"""
What the Web promises of shared memory, each case by its number in our own list.

Sources: ECMAScript, ``SharedArrayBuffer``; web-platform-tests, ``identity-not-preserved``,
``no-transferring``, ``test-incrementer``.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.web import sharing
from webworker_executor import DataCloneError, MessageChannel, SharedBuffer, WebWorkerExecutor

if TYPE_CHECKING:
    from collections.abc import Iterator

LIMIT = 10.0


@pytest.fixture
def shared() -> Iterator[SharedBuffer]:
    """
    Make a buffer of 64 bytes.
    """
    with SharedBuffer(64) as buffer:
        yield buffer


def test_case_52_identity_is_not_preserved_and_memory_is(shared: SharedBuffer) -> None:
    """The receiver's object is another; what either writes, both see."""
    with MessageChannel() as channel:
        channel.port1.post_message({"shared": shared})
        other = channel.port2.receive(LIMIT).data["shared"]
        assert other is not shared
        other[1] = 5
        shared[2] = 6
        assert (5, 6) == (shared[1], other[2])
        other.close()


def test_case_52_it_is_not_transferred(shared: SharedBuffer) -> None:
    """Listing it is a DataCloneError, and it stays usable."""
    with MessageChannel() as channel, pytest.raises(DataCloneError):
        channel.port1.post_message(shared, [shared])
    shared[0] = 1
    assert 1 == shared[0]


def test_case_53_incrementer(shared: SharedBuffer) -> None:
    """We write 1, the worker sees it and writes 2, we see it and write 3, the worker sees 3."""
    with WebWorkerExecutor(1) as pool, MessageChannel() as channel:
        done = pool.submit(sharing.increment, channel.port2)
        channel.port1.post_message(shared)
        for ours, theirs in ((1, 2), (3, 4)):
            shared[0] = ours
            channel.port1.post_message("written")
            assert "written" == channel.port1.receive(LIMIT).data
            assert theirs == shared[0]
        channel.port1.close()
        done.result(LIMIT)
