"""
Tests of `webworker_executor.web.estate`: what a worker has posted arrives, though it ends first.
"""

from __future__ import annotations

import pickle
import socket
import sys
from typing import TYPE_CHECKING, Any

import pytest

from webworker_executor import MessageChannel, WebWorkerExecutor, Worker
from webworker_executor.link.rights import Descriptor
from webworker_executor.web import running
from webworker_executor.web.estate import bequeath, inherit
from webworker_executor.web.messaging import MessageTarget
from webworker_executor.web.port_link import PortLink
from webworker_executor.wire.frame import MAX_FDS, Frame, encode
from webworker_executor.wire.kinds import ESTATE, MESSAGE

if TYPE_CHECKING:
    from tests.script import ScriptRunner
    from webworker_executor import MessagePort
    from webworker_executor.web.launchers import LauncherName

LIMIT = 20.0
# More than any socket holds.
N_MESSAGES = 30_000


def post_numbers(port: MessagePort) -> None:
    for number in range(N_MESSAGES):
        port.post_message(number)


def post_sockets(port: MessagePort, n_messages: int, n_sockets: int) -> None:
    """Post more than the kernel takes, and then what has descriptors."""
    for _ in range(100):
        port.post_message(bytes(1 << 16))
    for number in range(n_messages):
        ends = []
        for _ in range(n_sockets):
            near, far = socket.socketpair()
            near.sendall(b"%d" % number)
            near.close()
            ends.append(far)
        port.post_message(ends, ends)


def post_from_below(port: MessagePort) -> None:
    with WebWorkerExecutor(1) as pool:
        pool.submit(post_numbers, port).result(LIMIT)


def taken_from(port: MessagePort) -> list[Any]:
    return [event.data for event in port]


def test_what_a_task_posted_is_read_after_its_executor_has_ended(launcher: LauncherName) -> None:
    """All of it, in order, and then the end."""
    with MessageChannel() as channel:
        with WebWorkerExecutor(1, launcher=launcher) as pool:
            pool.submit(post_numbers, channel.port1).result(LIMIT)
        assert list(range(N_MESSAGES)) == taken_from(channel.port2)


def test_what_a_script_posted_is_read_after_its_end(launcher: LauncherName) -> None:
    """The reader neither keeps the worker nor loses anything."""
    script = f"for n in range({N_MESSAGES}): worker_data.post_message(n)\nclose()"
    with MessageChannel() as channel:
        worker = Worker(source=script, worker_data=channel.port1, launcher=launcher)
        worker.lifetime.result(LIMIT)
        assert list(range(N_MESSAGES)) == taken_from(channel.port2)


@pytest.mark.parametrize(
    ("n_messages", "n_sockets"), [(40, 1), (MAX_FDS + 7, 1), (7, 50), (1, MAX_FDS), (2, MAX_FDS)]
)
def test_descriptors_are_left_as_well(n_messages: int, n_sockets: int) -> None:
    """Each with its message, also where they are more than go with one frame."""
    with MessageChannel() as channel:
        with WebWorkerExecutor(1) as pool:
            pool.submit(post_sockets, channel.port1, n_messages, n_sockets).result(LIMIT)
        came = taken_from(channel.port2)[100:]
    for number, ends in enumerate(came):
        assert n_sockets == len(ends)
        for end in ends:
            with end:
                assert b"%d" % number == end.recv(10)
    assert n_messages == len(came)


def test_a_worker_of_a_worker_leaves_it_to_the_program() -> None:
    """Whoever inherits and ends leaves it on."""
    with MessageChannel() as channel:
        with WebWorkerExecutor(1) as pool:
            pool.submit(post_from_below, channel.port1).result(LIMIT)
        assert list(range(N_MESSAGES)) == taken_from(channel.port2)


WITHOUT_READER = """
import logging
from webworker_executor import MessageChannel, WebWorkerExecutor
from webworker_executor.web import port_link
from tests.web.test_estate import post_numbers

logging.basicConfig(format="%(message)s")
port_link.EXIT_SECONDS = 0.1
channel = MessageChannel()
pool = WebWorkerExecutor(1)
pool.submit(post_numbers, channel.port1).result(20)
"""


def test_the_end_of_the_program_has_nobody_above_it(run_script: ScriptRunner) -> None:
    """What nobody reads within a while is lost, and that is told."""
    ended = run_script(WITHOUT_READER)
    assert 0 == ended.returncode, ended.stderr
    assert "bytes that were posted to a port and not read are lost" in ended.stderr


def test_what_cannot_be_left_stays() -> None:
    """Outside a worker the link goes on."""
    assert not running.is_worker()
    near, far = socket.socketpair()
    with near, far:
        link = PortLink(near, MessageTarget())
        link.post(encode(MESSAGE, 1, bytes(1 << 22)))
        assert not link.is_written
        assert not bequeath(link)
        far.settimeout(LIMIT)
        nbytes = 0
        while nbytes < 1 << 22:
            nbytes += len(far.recv(1 << 20))
        assert link.wait_until_written(LIMIT)
        link.close()


class Evil:
    def __reduce__(self) -> tuple[Any, ...]:
        return sys.exit, ("unpickled",)


@pytest.mark.parametrize(
    ("payload", "buffers", "n_fds"),
    [(b"", (), 0), (pickle.dumps(Evil()), (), 1), (b"\5", (b"data",), 1), (b"\0", (b"data",), 0)],
)
def test_what_is_no_estate_is_dropped(
    caplog: pytest.LogCaptureFixture, payload: bytes, buffers: tuple[bytes, ...], n_fds: int
) -> None:
    """Nothing is unpickled on the reactor's thread, and no descriptor stays open."""
    with open("/dev/null", "rb") as file:
        fds = [Descriptor.copy_of(file.fileno()) for _ in range(n_fds)]
        inherit(Frame(ESTATE, 0, payload, buffers, fds))
    assert "what a worker had posted to a port before it ended is lost" in caplog.text
