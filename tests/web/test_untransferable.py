"""
What is marked stays, whoever lists it, and nothing else does.
"""

from __future__ import annotations

import gc
import socket
from typing import Any

import pytest

from tests.pool.work import double
from webworker_executor import (
    DataCloneError,
    MessageChannel,
    WebWorkerExecutor,
    is_marked_as_untransferable,
    mark_untransferable,
    structured_clone,
    transfer,
)
from webworker_executor.web import untransferable


def test_what_is_marked_cannot_be_listed() -> None:
    """
    Nothing was sent or given up, and the port goes on.
    """
    one, other = MessageChannel(), MessageChannel()
    with one, other, socket.socket() as listener:
        for item in (other.port1, listener, memoryview(b"1")):
            mark_untransferable(item)
            mark_untransferable(item)
            assert is_marked_as_untransferable(item)
            with pytest.raises(DataCloneError, match=r"transfer\[1\], .* marked as untransferable"):
                one.port1.post_message(1, [other.port2, item])
            with pytest.raises(DataCloneError, match="marked as untransferable"):
                structured_clone([item], [item])
            with pytest.raises(DataCloneError, match="marked as untransferable"):
                transfer([item], [item])
        other.port2.post_message("still here")
        assert "still here" == other.port1.receive(20).data
        assert one.port2.receive_nowait() is None


def test_ports_of_tasks_stay_as_well() -> None:
    """
    There they move without being listed.
    """
    with MessageChannel() as channel, WebWorkerExecutor(1) as pool:
        mark_untransferable(channel.port1)
        with pytest.raises(DataCloneError, match="was marked as untransferable"):
            pool.submit(double, channel.port1).result(10.0)  # type: ignore[call-overload]  # what it does not take
        assert not is_marked_as_untransferable(channel.port2)


def test_a_mark_goes_with_its_object() -> None:
    """
    Nothing that comes to lie in the same place has it.
    """
    gc.collect()
    before = len(untransferable._marked)
    view = memoryview(b"1")
    mark_untransferable(view)
    assert before + 1 == len(untransferable._marked)
    del view
    gc.collect()
    assert before == len(untransferable._marked)


@pytest.mark.parametrize("item", [bytearray(3), 1, None])
def test_what_cannot_be_marked(item: Any) -> None:
    """
    An error, because nothing would keep it from being given up.
    """
    with pytest.raises(TypeError, match="cannot be marked"):
        mark_untransferable(item)
    assert not is_marked_as_untransferable(item)
