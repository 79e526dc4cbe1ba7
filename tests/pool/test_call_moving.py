"""
Ports, sockets and files as arguments and results of tasks.
"""

from __future__ import annotations

import multiprocessing
import os
import socket
import threading
from typing import TYPE_CHECKING, Any

import pytest

from tests.dropin.gate import Gate, pass_gate
from tests.pool.work import double
from webworker_executor import (
    FileDescriptor,
    MessageChannel,
    MessageEvent,
    MessagePort,
    PortClosedError,
    WorkerFuture,
)

if TYPE_CHECKING:
    from collections.abc import Callable

    from webworker_executor import WebWorkerExecutor

TIMEOUT = 20.0
_kept: list[object] = []


def ask_and_answer(port: MessagePort) -> str:
    port.post_message("a task is here")
    return str(port.receive(TIMEOUT).data)


def make_port() -> MessagePort:
    channel = MessageChannel()
    _kept.append(channel.port1)
    channel.port1.post_message("from the maker")
    return channel.port2


def listen(port: MessagePort) -> int:
    def answer(event: MessageEvent) -> None:
        port.post_message((event.data, threading.current_thread() is threading.main_thread()))

    port.onmessage = answer
    _kept.append(port)
    return os.getpid()


def say(sock: socket.socket, text: bytes) -> socket.socket:
    sock.sendall(text)
    return sock


def write(file: Any, text: str) -> None:
    print(text, file=file, flush=True)


def send(connection: Any, value: object) -> None:
    connection.send(value)


def number_of(descriptor: FileDescriptor) -> tuple[int, int]:
    status = os.fstat(descriptor.fileno())
    return status.st_dev, status.st_ino


def test_a_port_is_an_argument(pool: WebWorkerExecutor) -> None:
    """
    The caller talks with a running task through a port that it gave it.
    """
    channel = MessageChannel()
    future = pool.submit(ask_and_answer, channel.port2)
    assert "a task is here" == channel.port1.receive(TIMEOUT).data
    channel.port1.post_message("good")
    assert "good" == future.result(TIMEOUT)
    channel.port1.close()


def test_a_port_is_a_result(pool: WebWorkerExecutor) -> None:
    """
    A task returns a port whose other end stays in its worker.
    """
    port = pool.submit(make_port).result(TIMEOUT)
    assert "from the maker" == port.receive(TIMEOUT).data
    port.close()


@pytest.mark.parametrize("stop", [WorkerFuture.cancel, WorkerFuture.abort])
def test_a_task_that_never_runs_closes_its_ports(
    forked: WebWorkerExecutor, gate: Gate, stop: Callable[[WorkerFuture[Any]], bool]
) -> None:
    """
    Whoever has the other end is told at once, and not when the tasks before it are done.
    """
    forked.submit(pass_gate, gate.path, 1)
    gate.wait_for_begun(1)
    _ = [forked.submit(double, number) for number in range(10)]
    with MessageChannel() as channel:
        future = forked.submit(ask_and_answer, channel.port2)
        assert stop(future)
        with pytest.raises(PortClosedError):
            channel.port1.receive(TIMEOUT)


def test_two_workers_talk_past_the_host(pool: WebWorkerExecutor) -> None:
    """
    Both ends of a channel go to tasks that run at the same time.
    """
    channel = MessageChannel()
    first = pool.submit(ask_and_answer, channel.port1)
    second = pool.submit(ask_and_answer, channel.port2)
    assert ["a task is here"] * 2 == [first.result(TIMEOUT), second.result(TIMEOUT)]


def test_handlers_in_a_worker_run_on_its_main_thread(pool: WebWorkerExecutor) -> None:
    """
    A handler that a task has set is called while its worker idles, and between other tasks.
    """
    channel = MessageChannel()
    pool.submit(listen, channel.port2).result(TIMEOUT)
    for number in range(3):
        channel.port1.post_message(number)
        assert (number, True) == channel.port1.receive(TIMEOUT).data
        pool.submit(abs, -1).result(TIMEOUT)
    channel.port1.close()


def test_sockets_go_to_tasks_and_come_back(pool: WebWorkerExecutor) -> None:
    """
    A task gets a duplicate, and the caller's socket stays usable.
    """
    near, far = socket.socketpair()
    with near, far:
        back = pool.submit(say, far, b"hello").result(TIMEOUT)
        with back:
            assert b"hello" == near.recv(100)
            back.sendall(b"again")
            assert b"again" == near.recv(100)
        far.sendall(b"mine")
        assert b"mine" == near.recv(100)


def test_connections_and_descriptors_are_arguments(pool: WebWorkerExecutor) -> None:
    """
    What stands for a descriptor names the same file there.
    """
    ours, theirs = multiprocessing.Pipe()
    with ours, theirs:
        pool.submit(send, theirs, [1]).result(TIMEOUT)
        assert ours.poll(TIMEOUT)
        assert [1] == ours.recv()
        status = os.fstat(ours.fileno())
        number = pool.submit(number_of, FileDescriptor(os.dup(ours.fileno()))).result(TIMEOUT)
        assert (status.st_dev, status.st_ino) == number
