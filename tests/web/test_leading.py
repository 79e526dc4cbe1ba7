"""
Tests of `webworker_executor.web.leading`: who waits for a worker reads, and nothing is lost by it.
"""

from __future__ import annotations

import threading
from time import monotonic
from typing import TYPE_CHECKING, Any

import pytest

from tests.conformance.listening import SECONDS
from tests.link.inbox import Inbox
from webworker_executor import InvalidStateError, PortClosedError, Worker

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.script import ScriptRunner

# A process takes a tenth of a second to start and to end.
pytestmark = pytest.mark.slow

ECHO = "def onmessage(event): post_message(event.data)"


@pytest.fixture
def worker() -> Iterator[Worker]:
    """Run a worker that sends back what it gets, and has done so once."""
    with Worker(source=ECHO) as worker:
        worker.post_message("warm")
        assert "warm" == worker.receive(SECONDS).data
        yield worker


def wait_until_awaited(worker: Worker) -> None:
    """Wait until a thread waits; after some time without a message the reactor reads for it."""
    deadline = monotonic() + SECONDS
    while not worker._waiters:
        assert monotonic() < deadline


def test_whoever_waits_gets_it(worker: Worker) -> None:
    """The answer comes to the thread that waits for it, small or large."""
    got: Inbox[Any] = Inbox()
    for size in (1, 10, 100_000, 1_000_000, 1):
        thread = threading.Thread(target=lambda: got(worker.receive(SECONDS).data))
        thread.start()
        wait_until_awaited(worker)
        worker.post_message(["x" * size])
        assert ["x" * size] == got.get()
        thread.join(SECONDS)


def test_the_reactor_leaves_the_link_to_who_waits(worker: Worker) -> None:
    """Of messages that are answered at once, most are read by the thread that waits."""
    life: Any = worker._life
    before = life._link.leading._n_leads
    for number in range(100):
        worker.post_message(number)
        assert number == worker.receive(SECONDS).data
    assert life._link.leading._n_leads - before >= 50


def test_several_threads_wait(worker: Worker) -> None:
    """Each message is received once, by any of them."""
    got: Inbox[int] = Inbox()

    def receive() -> None:
        for _ in range(50):
            got(worker.receive(SECONDS).data)

    threads = [threading.Thread(target=receive) for _ in range(4)]
    for thread in threads:
        thread.start()
    for number in range(200):
        worker.post_message(number)
    assert list(range(200)) == sorted(got.take(200))
    for thread in threads:
        thread.join(SECONDS)


def test_terminate_wakes_who_leads() -> None:
    """Nobody waits for the end of a process that takes its time."""
    with Worker(source="while True: pass") as worker:
        errors: Inbox[BaseException] = Inbox()

        def receive() -> None:
            try:
                worker.receive()
            except PortClosedError as error:
                errors(error)

        worker.ready.result(SECONDS)
        thread = threading.Thread(target=receive)
        thread.start()
        wait_until_awaited(worker)
        worker.terminate(None)
        assert isinstance(errors.get(), PortClosedError)
        assert worker.state != "exited"
        thread.join(SECONDS)
        worker.terminate(0)


def test_a_late_receive_times_out(worker: Worker) -> None:
    """Whoever leads keeps to its time; the message that comes later is not lost."""
    with pytest.raises(TimeoutError):
        worker.receive(0.01)
    worker.post_message("later")
    assert "later" == worker.receive(SECONDS).data


def test_a_listener_takes_over_from_who_leads(worker: Worker) -> None:
    """What comes after the first message that was waited for goes to the listener."""
    heard: Inbox[Any] = Inbox()

    def receive() -> None:
        try:
            heard(worker.receive(SECONDS).data)
        except InvalidStateError:
            heard("refused")

    thread = threading.Thread(target=receive)
    thread.start()
    wait_until_awaited(worker)
    worker.onmessage = lambda event: heard(event.data)
    for number in range(3):
        worker.post_message(number)
    thread.join(SECONDS)
    # The thread was woken by the first message: it has that one, or the listener has all.
    everything = heard.take(3)
    if "refused" in everything:
        everything = [*everything, heard.get()]
        everything.remove("refused")
    assert [0, 1, 2] == sorted(everything)


def test_errors_and_the_end_are_heard_while_somebody_leads(worker: Worker) -> None:
    """What is no message goes its usual way, at once."""
    with Worker(source="def onmessage(event):\n    1 / event.data\n    post_message(1)") as other:
        errors: Inbox[str] = Inbox()
        other.onerror = lambda event: errors(event.message)
        got: Inbox[Any] = Inbox()
        thread = threading.Thread(target=lambda: got(other.receive(SECONDS).data))
        other.ready.result(SECONDS)
        thread.start()
        wait_until_awaited(other)
        other.post_message(0)
        assert "ZeroDivisionError: division by zero" == errors.get()
        other.post_message(1)
        assert 1 == got.get()
        thread.join(SECONDS)


INTERRUPTED = """
import signal, sys
from webworker_executor import Worker

class Stop(Exception):
    pass

def handler(*_):
    global may_raise
    if may_raise:
        # Once for each time that the program stands where it can catch it.
        may_raise = False
        raise Stop

count = 20_000
may_raise = False
worker = Worker(source=f"for number in range({count}): post_message(number)")
worker.ready.result(20)
signal.signal(signal.SIGALRM, handler)
signal.setitimer(signal.ITIMER_REAL, 0.003, 0.0037)
got = []
n_stops = 0
while not got or got[-1] < count - 1:
    try:
        may_raise = True
        event = worker.receive(20)
        may_raise = False
        got.append(event.data)
    except Stop:
        n_stops += 1
    except TimeoutError:
        may_raise = False
        break
signal.setitimer(signal.ITIMER_REAL, 0)
assert got == sorted(set(got)), "reordered or twice"
assert count - len(got) <= n_stops, (len(got), n_stops)
worker.terminate(0).result(20)
print("ok", n_stops > 0)
"""


def test_handlers_that_raise_lose_and_double_nothing(run_script: ScriptRunner) -> None:
    """Wherever a signal handler breaks off a wait, the next one goes on from there."""
    done = run_script(INTERRUPTED)
    assert ("ok True\n", "") == (done.stdout, done.stderr)
