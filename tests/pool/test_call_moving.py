"""
Ports, sockets and files as arguments and results of tasks.
"""

from __future__ import annotations

import contextlib
import multiprocessing
import os
import pickle
import socket
import threading
import time
from typing import TYPE_CHECKING, Any

import pytest

from tests.dropin.gate import Gate, pass_gate
from tests.leaks import descriptors, new_descriptors
from tests.link.interrupts import broken_off
from tests.patience import wait_until
from tests.pool.work import double
from tests.web.belongings import break_off_anywhere, transfer_once, use_all
from webworker_executor import (
    DataCloneError,
    FileDescriptor,
    MessageChannel,
    MessageEvent,
    MessagePort,
    PoolFullError,
    PortClosedError,
    WebWorkerExecutor,
    WorkerFuture,
    transfer,
)

if TYPE_CHECKING:
    from collections.abc import Callable

    Submit = Callable[[WebWorkerExecutor, list[Any]], object]

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


def submit_plainly(executor: WebWorkerExecutor, things: list[Any]) -> None:
    """The port moves by itself."""
    executor.submit(use_all, things[0], *(transfer(thing, [thing]) for thing in things[1:]))


def submit_on_terms(executor: WebWorkerExecutor, things: list[Any]) -> None:
    """With all that stands around the call, and around its arguments."""
    terms: Any = {"timeout": TIMEOUT, "soft_timeout": TIMEOUT, "retries": 1, "onmessage": print}
    executor.options(transfer=things, worker=0, priority=1, **terms).submit(use_all, *things)


class Submitted:
    """
    Something to post to, which has the things used by a task.

    Args:
        executor: Runs it.
        submit: Submits it.
    """

    def __init__(self, executor: WebWorkerExecutor, submit: Submit) -> None:
        self._executor = executor
        self._submit = submit

    def post_message(self, _: object, things: list[Any]) -> None:
        self._submit(self._executor, things)


@pytest.mark.slow
@pytest.mark.parametrize("bound", [None, 100])
@pytest.mark.parametrize("submit", [submit_plainly, submit_on_terms])
def test_arguments_of_a_submit_that_is_broken_off_have_gone_or_not(
    submit: Submit, bound: int | None
) -> None:
    """
    Wherever a signal handler raises: the task runs and has them all, or all are usable as before.
    """
    with WebWorkerExecutor(1, launcher="fork", max_pending=bound) as executor:
        # A copy of this process has copies of what this one has, until it is a worker.
        executor.submit(double, 1).result(TIMEOUT)
        over = Submitted(executor, submit)
        transfer_once(over)
        before = descriptors()
        kept, gone = break_off_anywhere(over)
        assert min(kept, gone) > 20
        executor.submit(double, 1).result(TIMEOUT)
        # What is neither is the pool's, which takes it when it needs it.
        kinds = ("socket:", "pipe:")
        wait_until(
            lambda: not [new for new in new_descriptors(before) if any(k in new for k in kinds)],
            tell=lambda: new_descriptors(before),
        )


def test_arguments_of_a_submit_that_is_refused_are_still_here(gate: Gate) -> None:
    """
    The caller may submit again, and has the same port for it.
    """
    bound: Any = {"max_pending": 1, "when_full": "raise"}
    with WebWorkerExecutor(1, launcher="fork", **bound) as executor, MessageChannel() as channel:
        first = executor.submit(pass_gate, gate.path, 1)
        for view in (executor, executor.options(priority=1)):
            with pytest.raises(PoolFullError):
                view.submit(ask_and_answer, channel.port2)
        gate.open()
        first.result(TIMEOUT)
        channel.port1.post_message("good")
        assert "good" == executor.submit(ask_and_answer, channel.port2).result(TIMEOUT)


@pytest.mark.slow
@pytest.mark.parametrize("has_terms", [False, True])
def test_arguments_of_a_refused_submit_that_is_broken_off_are_still_here(
    gate: Gate, has_terms: bool
) -> None:
    """
    Wherever a signal handler raises, also while they are given back.
    """
    bound: Any = {"max_pending": 1, "when_full": "raise"}
    with WebWorkerExecutor(1, launcher="fork", **bound) as executor, MessageChannel() as channel:
        executor.submit(pass_gate, gate.path, 1)
        view = executor.options(priority=1, timeout=TIMEOUT) if has_terms else executor

        def submit() -> None:
            with contextlib.suppress(PoolFullError):
                view.submit(ask_and_answer, channel.port2)

        submit()
        for step in broken_off(submit):
            channel.port1.post_message(step)
            assert step == channel.port2.receive(TIMEOUT).data
        gate.open()


@pytest.mark.parametrize("has_terms", [False, True])
def test_nothing_is_given_up_with_memory_that_is_in_use(
    forked: WebWorkerExecutor, has_terms: bool
) -> None:
    """
    That shows as late as the task is taken; it is an argument that does not pickle, all the same.
    """
    view = memoryview(bytearray(8))
    laid_over = pickle.PickleBuffer(view)
    with MessageChannel() as channel:
        executor = forked.options(priority=1) if has_terms else forked
        future = executor.submit(double, [channel.port2, transfer(view, [view])])  # type: ignore[call-overload]  # what it does not take
        with pytest.raises(DataCloneError, match="cannot be transferred while something is laid"):
            future.result(TIMEOUT)
        laid_over.release()
        assert 8 == len(view)
        channel.port1.post_message("still here")
        assert "still here" == channel.port2.receive(TIMEOUT).data


def test_who_waits_at_a_port_that_waits_for_room_sleeps(gate: Gate) -> None:
    """
    And hears when it has gone.
    """
    with WebWorkerExecutor(1, launcher="fork", max_pending=1) as executor:
        executor.submit(pass_gate, gate.path, 1)
        with MessageChannel() as channel:
            port = channel.port2
            submitter = threading.Thread(target=executor.submit, args=[ask_and_answer, port])
            submitter.start()
            wait_until(lambda: port._state == "frozen")
            before = time.thread_time()
            with pytest.raises(TimeoutError):
                port.receive(0.2)
            assert time.thread_time() - before < 0.1
            gate.open()
            with pytest.raises(PortClosedError, match="was transferred"):
                port.receive(TIMEOUT)
            channel.port1.post_message("good")
            submitter.join()
