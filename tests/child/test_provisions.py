"""
A worker whose user cannot read the interpreter's files takes along what messages need.
"""

from __future__ import annotations

import os
import socket
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import pytest

from webworker_executor import (
    AbortController,
    FileDescriptor,
    MessageChannel,
    SharedBuffer,
    Worker,
    wrap,
)

if TYPE_CHECKING:
    from collections.abc import Iterator

SECONDS = 20.0
LARGE = 300_000
# What a script finds where nothing can be read any more. What is built in needs no file.
REFUSE = """
import sys
class Unreadable:
    @staticmethod
    def find_spec(name, path=None, target=None):
        if name not in sys.builtin_module_names:
            raise ModuleNotFoundError(f"no module {name!r} can be read", name=name)
"""
READABLE = (
    REFUSE
    + """
from webworker_executor.child.provisions import take_along
take_along()
sys.meta_path.insert(0, Unreadable)
"""
)
UNREADABLE = REFUSE + "sys.meta_path.insert(0, Unreadable)\n"
ECHO = """
def onmessageerror(event):
    post_message(repr(event.error))
def onmessage(event):
    post_message(event.data, list(event.ports), fds=event.fds)
"""


@contextmanager
def echo(source: str = READABLE + ECHO, **options: Any) -> Iterator[Worker]:
    with Worker(source=source, **options) as worker:
        assert worker.ready.exception(SECONDS) is None
        yield worker


def heard(worker: Worker) -> Any:
    return worker.receive(SECONDS)


def kinds_of_values() -> dict[str, Any]:
    return {
        "text": "text",
        "bytes": bytes(LARGE),
        "bytearray": bytearray(LARGE),
        "view": memoryview(bytes(LARGE)),
        "exception": ValueError("x"),
        "function": lambda: 1,
        "class": type("Own", (), {"__module__": "__main__"}),
    }


@pytest.mark.parametrize("kind", [*kinds_of_values()])
def test_values(kind: str) -> None:
    """
    Small or large, by name or by value, they come and go.
    """
    value = kinds_of_values()[kind]
    with echo() as worker:
        worker.post_message(value)
        data = heard(worker).data
    assert type(value) is type(data) or isinstance(data, (bytearray, bytes)), data


def test_descriptors() -> None:
    """
    Sockets, files and bare descriptors, beside a value or in it.
    """
    with echo() as worker, socket.socket() as item:
        worker.post_message("beside", fds=[item])
        event = heard(worker)
        assert "beside" == event.data
        (fd,) = event.fds
        os.close(fd)
        worker.post_message(item)
        with heard(worker).data as came:
            assert isinstance(came, socket.socket)
        with FileDescriptor(os.open(os.devnull, os.O_RDONLY)) as fd:
            worker.post_message(fd)
        heard(worker).data.close()


def test_memory_that_is_shared() -> None:
    """
    The same bytes are seen by both.
    """
    shared = SharedBuffer(8)
    with echo() as worker:
        worker.post_message(shared)
        assert isinstance(heard(worker).data, SharedBuffer)


def test_ports() -> None:
    """
    A port goes there and comes back, and speaks there.
    """
    source = """
def onmessage(event):
    event.ports[0].onmessage = lambda said: post_message(said.data)
"""
    channel = MessageChannel()
    with echo() as worker:
        worker.post_message(None, [channel.port2])
        (port,) = heard(worker).ports
        port.close()
    channel = MessageChannel()
    with echo(READABLE + source) as worker:
        worker.post_message(None, [channel.port2])
        channel.port1.post_message(["through", bytes(LARGE)])
        assert "through" == heard(worker).data[0]
        channel.port1.close()


def test_signals() -> None:
    """
    An abort is heard there.
    """
    source = """
def onmessage(event):
    event.data.onabort = lambda _: post_message(event.data.reason)
    post_message("listens")
"""
    controller = AbortController()
    with echo(READABLE + source) as worker:
        worker.post_message(controller.signal)
        assert "listens" == heard(worker).data
        controller.abort("enough")
        assert "enough" == heard(worker).data


def test_objects_that_live_there() -> None:
    """
    They can be called.
    """
    source = """
class Service:
    def double(self, number):
        return 2 * number
    def fail(self):
        raise LookupError("nowhere")
def onmessage(event):
    expose(Service(), event.ports[0])
"""
    channel = MessageChannel()
    begin = "from webworker_executor import expose\n"
    with echo(begin + READABLE + source) as worker:
        worker.post_message(None, [channel.port2])
        service = wrap(channel.port1)
        assert 4 == service.double(2).result(SECONDS)
        assert isinstance(service.fail().exception(SECONDS), LookupError)
        channel.port1.close()


def test_what_cannot_be_sent() -> None:
    """
    The error names it.
    """
    source = """
def onmessage(event):
    try:
        post_message({"a": sys._getframe()})
    except Exception as error:
        post_message(str(error))
"""
    with echo(READABLE + source) as worker:
        worker.post_message(None)
        assert 'message["a"]' in heard(worker).data


@pytest.mark.skipif(os.geteuid() != 0, reason="only root may start processes of others")
@pytest.mark.parametrize("user", [None, 0])
def test_a_worker_takes_it_along_with_a_user_only(user: int | None) -> None:
    """
    Any other has no time for it.
    """
    with echo(UNREADABLE + ECHO, user=user, group=user) as worker:
        worker.post_message(bytes(LARGE))
        data = heard(worker).data
        assert (user is None) == isinstance(data, str), data[:100]
