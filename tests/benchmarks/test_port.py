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
    from typing import TypeAlias

    from pytest_benchmark.fixture import BenchmarkFixture

    Serve: TypeAlias = "Callable[[Contact], object]"

pytestmark = pytest.mark.filterwarnings(
    "ignore:This process .* is multi-threaded:DeprecationWarning"
)

LIMIT = 30.0
N_MESSAGES = 20_000
LARGE_NBYTES = 64 << 20


def echo(contact: Contact) -> None:
    """Send back what comes, until that is None."""
    while (value := contact.receive()) is not None:
        contact.send(value)


def take(contact: Contact) -> None:
    """Take as many values as the first one says, and say that it is done; until that is None."""
    while (count := contact.receive()) is not None:
        for _ in range(count):
            contact.receive()
        contact.send("done")


def serve_port(serve: Serve, port: MessagePort) -> None:
    serve(Contact(port.post_message, lambda: port.receive().data))


def serve_pipe(serve: Serve, far: Any) -> None:
    serve(Contact(far.send, far.recv))


def serve_queue(serve: Serve, there: Any, back: Any) -> None:
    serve(Contact(back.put, there.get))


def serve_socket(serve: Serve, far: socket.socket) -> None:
    with far, far.makefile("rb") as file:
        serve(Contact(lambda value: far.sendall(pickle.dumps(value)), lambda: pickle.load(file)))


class Contact:
    """
    A way to another process, from either side.
    """

    def __init__(self, send: Callable[[Any], object], receive: Callable[[], Any]) -> None:
        self.send = send
        self.receive = receive


def by_port(serve: Serve) -> Iterator[Contact]:
    with WebWorkerExecutor(1) as executor, MessageChannel() as channel:
        future = executor.submit(serve_port, serve, channel.port2)
        port = channel.port1
        yield Contact(port.post_message, lambda: port.receive().data)
        port.post_message(None)
        future.result(LIMIT)


def by_pipe(serve: Serve) -> Iterator[Contact]:
    near, far = multiprocessing.Pipe()
    process = multiprocessing.get_context("spawn").Process(target=serve_pipe, args=[serve, far])
    process.start()
    with near, far:
        yield Contact(near.send, near.recv)
        near.send(None)
        process.join(LIMIT)


def by_queue(serve: Serve) -> Iterator[Contact]:
    context = multiprocessing.get_context("spawn")
    there, back = context.Queue(), context.Queue()
    process = context.Process(target=serve_queue, args=[serve, there, back])
    process.start()
    yield Contact(there.put, back.get)
    there.put(None)
    process.join(LIMIT)
    for queue in (there, back):
        queue.close()
        queue.join_thread()


def by_socket(serve: Serve) -> Iterator[Contact]:
    near, far = socket.socketpair()
    process = multiprocessing.get_context("spawn").Process(target=serve_socket, args=[serve, far])
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
    Open each way in turn to a process that sends back what comes, and warm it up.
    """
    ways = WAYS[request.param](echo)
    contact = next(ways)
    contact.send("warm")
    assert "warm" == contact.receive()
    yield contact
    next(ways, None)


@pytest.fixture(params=WAYS)
def sink(request: pytest.FixtureRequest) -> Iterator[Contact]:
    """
    Open each way in turn to a process that only takes what comes.
    """
    ways = WAYS[request.param](take)
    sink = next(ways)
    sink.send(0)
    assert "done" == sink.receive()
    yield sink
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


@pytest.mark.benchmark(group=f"port: {N_MESSAGES} messages one way")
def test_one_way(benchmark: BenchmarkFixture, sink: Contact) -> None:
    """
    Many small messages are sent, and read by another process at the same time.
    """

    def send_all() -> Any:
        sink.send(N_MESSAGES)
        for number in range(N_MESSAGES):
            sink.send(number)
        return sink.receive()

    assert "done" == in_rounds(benchmark, send_all)
