"""
What a message through a port costs, beside multiprocessing's ways and the bare socket.
"""

from __future__ import annotations

import multiprocessing
import pickle
import socket
from typing import TYPE_CHECKING, Any

import pytest

from tests.benchmarks.rounds import in_rounds
from webworker_executor import MessageChannel, MessagePort, WebWorkerExecutor

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from pytest_benchmark.fixture import BenchmarkFixture

pytestmark = pytest.mark.filterwarnings(
    "ignore:This process .* is multi-threaded:DeprecationWarning"
)

LIMIT = 30.0
N_MESSAGES = 20_000
LARGE_NBYTES = 64 << 20


def echo_port(port: MessagePort) -> None:
    for event in port:
        port.post_message(event.data)


def echo_pipe(far: Any) -> None:
    while (value := far.recv()) is not None:
        far.send(value)


def echo_queue(there: Any, back: Any) -> None:
    while (value := there.get()) is not None:
        back.put(value)


def echo_socket(far: socket.socket) -> None:
    with far, far.makefile("rb") as file:
        while (value := pickle.load(file)) is not None:
            far.sendall(pickle.dumps(value))


class Contact:
    """
    A way to another process that sends back what it gets.
    """

    def __init__(self, send: Callable[[Any], object], receive: Callable[[], Any]) -> None:
        self.send = send
        self.receive = receive


def by_port() -> Iterator[Contact]:
    with WebWorkerExecutor(1) as executor, MessageChannel() as channel:
        future = executor.submit(echo_port, channel.port2)
        port = channel.port1
        yield Contact(port.post_message, lambda: port.receive().data)
        port.close()
        future.result(LIMIT)


def by_pipe() -> Iterator[Contact]:
    near, far = multiprocessing.Pipe()
    process = multiprocessing.get_context("spawn").Process(target=echo_pipe, args=[far])
    process.start()
    with near, far:
        yield Contact(near.send, near.recv)
        near.send(None)
        process.join(LIMIT)


def by_queue() -> Iterator[Contact]:
    context = multiprocessing.get_context("spawn")
    there, back = context.Queue(), context.Queue()
    process = context.Process(target=echo_queue, args=[there, back])
    process.start()
    yield Contact(there.put, back.get)
    there.put(None)
    process.join(LIMIT)
    for queue in (there, back):
        queue.close()
        queue.join_thread()


def by_socket() -> Iterator[Contact]:
    near, far = socket.socketpair()
    process = multiprocessing.get_context("spawn").Process(target=echo_socket, args=[far])
    process.start()
    far.close()
    with near, near.makefile("rb") as file:
        yield Contact(lambda value: near.sendall(pickle.dumps(value)), lambda: pickle.load(file))
        near.sendall(pickle.dumps(None))
        process.join(LIMIT)


WAYS = {"port": by_port, "pipe": by_pipe, "queue": by_queue, "socket": by_socket}


@pytest.fixture(params=WAYS)
def contact(request: pytest.FixtureRequest) -> Iterator[Contact]:
    """
    Open each way in turn, and warm it up.
    """
    ways = WAYS[request.param]()
    contact = next(ways)
    contact.send("warm")
    assert "warm" == contact.receive()
    yield contact
    next(ways, None)


@pytest.mark.benchmark(group="port: a small message there and back")
def test_ping_pong(benchmark: BenchmarkFixture, contact: Contact) -> None:
    """
    One small message is answered before the next is sent.
    """

    def round_trip() -> Any:
        contact.send({"number": 1})
        return contact.receive()

    assert {"number": 1} == benchmark(round_trip)


@pytest.mark.benchmark(group="port: 64 MiB there and back")
def test_large(benchmark: BenchmarkFixture, contact: Contact) -> None:
    """
    One large block goes there and comes back.
    """
    block = bytearray(LARGE_NBYTES)

    def round_trip() -> int:
        contact.send(block)
        return len(contact.receive())

    assert LARGE_NBYTES == in_rounds(benchmark, round_trip)


@pytest.mark.benchmark(group="port: an array of 64 MiB there and back")
def test_large_array(benchmark: BenchmarkFixture, contact: Contact) -> None:
    """
    One large array goes there and comes back; a number of it is looked at.
    """
    numpy = pytest.importorskip("numpy")
    array = numpy.arange(LARGE_NBYTES // 8, dtype=numpy.float64)

    def round_trip() -> float:
        contact.send(array)
        return float(contact.receive()[-1])

    assert LARGE_NBYTES // 8 - 1 == in_rounds(benchmark, round_trip)


def take_port(port: MessagePort, count: int) -> None:
    for _ in range(count):
        port.receive()
    port.post_message("done")


@pytest.mark.benchmark(group=f"port: {N_MESSAGES} posts one way")
def test_one_way(benchmark: BenchmarkFixture) -> None:
    """
    Many small messages are posted, and read by a worker at the same time.
    """
    with WebWorkerExecutor(1) as executor:

        def post_all() -> Any:
            with MessageChannel() as channel:
                executor.submit(take_port, channel.port2, N_MESSAGES)
                for number in range(N_MESSAGES):
                    channel.port1.post_message(number)
                return channel.port1.receive(LIMIT).data

        assert "done" == in_rounds(benchmark, post_all)
