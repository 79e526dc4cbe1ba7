"""
Tests of `webworker_executor.link.reactor`: one thread that does what is due, and outlives a bug.
"""

from __future__ import annotations

import contextlib
import json
import logging
import os
import socket
import threading
import time
from functools import partial
from typing import TYPE_CHECKING

import pytest

from tests.link.inbox import Inbox
from tests.threads import each_in_order
from webworker_executor.link.reactor import READ, WRITE, Reactor, Timer

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from tests.script import ScriptRunner

Pair = tuple[socket.socket, socket.socket]


def on_reactor(reactor: Reactor, call: object) -> object:
    """
    Make a call on the reactor's thread and return its value.
    """
    assert callable(call)
    values = Inbox[object]()
    reactor.call_soon(lambda: values(call()))
    return values.get()


def test_calls_run_on_the_thread_in_order(reactor: Reactor) -> None:
    """
    Calls are made on the reactor's own thread, one after the other.
    """
    seen = Inbox[tuple[int, bool]]()
    for number in range(1000):
        reactor.call_soon(partial(lambda n: seen((n, reactor.is_current_thread)), number))
    assert [(number, True) for number in range(1000)] == seen.take(1000)
    assert not reactor.is_current_thread


@pytest.mark.parametrize("delay", [31 * 86400.0, 1e300])
def test_a_timer_far_away_is_no_end_of_the_thread(reactor: Reactor, delay: float) -> None:
    """
    The kernel cannot wait for a month; whoever set such a time-out still gets all else done.
    """
    timer = on_reactor(reactor, lambda: reactor.call_at(time.monotonic() + delay, lambda: None))
    assert isinstance(timer, Timer)
    assert [1, 2] == [on_reactor(reactor, lambda: 1), on_reactor(reactor, lambda: 2)]
    timer.cancel()


def test_calls_of_many_threads_all_run(reactor: Reactor) -> None:
    """
    No call gets lost between threads, and those of one thread keep their order.
    """
    assert each_in_order(reactor.call_soon)


def test_call_from_a_call_runs_later(reactor: Reactor) -> None:
    """
    What a call asks for comes after what was asked for before.
    """
    seen = Inbox[str]()
    gate = threading.Event()

    def first() -> None:
        gate.wait(20)
        reactor.call_soon(partial(seen, "third"))
        seen("first")

    reactor.call_soon(first)
    reactor.call_soon(partial(seen, "second"))
    gate.set()
    assert ["first", "second", "third"] == seen.take(3)


def test_ready_descriptor_is_told(reactor: Reactor, pair: Pair) -> None:
    """
    A callback gets the events of its descriptor, on the reactor's thread.
    """
    near, far = pair
    seen = Inbox[tuple[int, bool]]()

    def ready(events: int) -> None:
        near.recv(10)
        seen((events, reactor.is_current_thread))

    reactor.register(near.fileno(), READ, ready)
    far.send(b"x")
    assert (READ, True) == seen.get()
    reactor.unregister(near.fileno())


def test_modified_events(reactor: Reactor, pair: Pair) -> None:
    """
    After `modify` the reactor waits for what it was told to.
    """
    near, _ = pair
    seen = Inbox[int]()

    def ready(events: int) -> None:
        reactor.modify(near.fileno(), READ)
        seen(events)

    reactor.register(near.fileno(), READ, ready)
    reactor.modify(near.fileno(), READ | WRITE)
    assert WRITE == seen.get()
    on_reactor(reactor, lambda: None)
    assert seen.is_empty
    reactor.unregister(near.fileno())


def make_ready_at_once(
    reactor: Reactor,
    ends: Sequence[tuple[socket.socket, socket.socket]],
    ready: Callable[[int, int], object],
) -> None:
    """Give the reactor sockets that are ready before it looks, so that one round has them all."""

    def prepare() -> None:
        for index, (near, far) in enumerate(ends):
            far.send(b"x")
            reactor.register(near.fileno(), READ, partial(ready, index))

    reactor.call_soon(prepare)


def test_forgotten_descriptor_is_not_told(reactor: Reactor) -> None:
    """
    A callback that was forgotten within the very round is not called any more.
    """
    ends = [socket.socketpair() for _ in range(2)]
    seen = Inbox[int]()

    def ready(index: int, _: int) -> None:
        reactor.unregister(ends[1 - index][0].fileno())
        ends[index][0].recv(10)
        seen(index)

    make_ready_at_once(reactor, ends, ready)
    told = seen.get()
    on_reactor(reactor, lambda: None)
    assert seen.is_empty
    reactor.unregister(ends[told][0].fileno())
    for near, far in ends:
        near.close()
        far.close()


def test_an_old_event_is_not_told_to_who_has_the_number_now(reactor: Reactor) -> None:
    """
    What was ready for a descriptor that a callback closed is nothing to the next of that number.
    """
    ends = [socket.socketpair() for _ in range(2)]
    silent, other = socket.socketpair()
    seen, strange = Inbox[int](), Inbox[int]()

    def ready(index: int, _: int) -> None:
        number = ends[1 - index][0].fileno()
        reactor.unregister(number)
        os.dup2(silent.fileno(), number, inheritable=False)
        reactor.register(number, READ, strange)
        ends[index][0].recv(10)
        seen(index)

    make_ready_at_once(reactor, ends, ready)
    seen.get()
    on_reactor(reactor, lambda: None)
    assert strange.is_empty
    for near, far in [*ends, (silent, other)]:
        reactor.unregister(near.fileno())
        near.close()
        far.close()


def test_registered_within_a_round(reactor: Reactor, pair: Pair) -> None:
    """
    A descriptor that a callback registers is served from the next round.
    """
    near, far = pair
    seen = Inbox[str]()
    second = os.dup(near.fileno())

    def first(_: int) -> None:
        reactor.unregister(near.fileno())
        seen("first")
        reactor.register(second, READ, again)

    def again(_: int) -> None:
        reactor.unregister(second)
        seen("second")

    reactor.register(near.fileno(), READ, first)
    far.send(b"x")
    assert ["first", "second"] == seen.take(2)
    os.close(second)


def test_unregister_twice(reactor: Reactor, pair: Pair) -> None:
    """
    To forget what is not known, or already closed, is no error.
    """
    near, _ = pair
    fd = os.dup(near.fileno())
    reactor.register(fd, READ, lambda _: None)
    os.close(fd)
    reactor.unregister(fd)
    reactor.unregister(fd)


def test_refused_descriptor_is_not_kept(reactor: Reactor, tmp_path: object) -> None:
    """
    What cannot be waited for is an error; a later descriptor of that number has no old callback.
    """
    fd = os.open(f"{tmp_path}/plain", os.O_RDWR | os.O_CREAT)
    with pytest.raises(PermissionError):
        reactor.register(fd, READ, lambda _: None)
    os.close(fd)
    assert fd not in reactor._callbacks


def test_timers_run_in_the_order_of_their_times(reactor: Reactor) -> None:
    """
    Timers come by their times, and those of one time in the order they were set.
    """
    seen = Inbox[str]()

    def prepare() -> None:
        now = time.monotonic()
        for delay, name in [(0.03, "d"), (0.01, "b"), (0.0, "a"), (0.01, "c"), (0.03, "e")]:
            reactor.call_at(now + delay, partial(seen, name))

    reactor.call_soon(prepare)
    assert list("abcde") == seen.take(5)


def test_timer_is_not_early(reactor: Reactor) -> None:
    """
    No call is made before its time.
    """
    seen = Inbox[float]()
    due = time.monotonic() + 0.02
    reactor.call_soon(lambda: reactor.call_at(due, lambda: seen(time.monotonic())))
    assert seen.get() >= due


def test_cancelled_timer_never_runs(reactor: Reactor) -> None:
    """
    A cancelled call is not made, even when it is due in this very round.
    """
    seen = Inbox[str]()
    timers: list[Timer] = []

    def first() -> None:
        timers[1].cancel()
        seen("first")

    def prepare() -> None:
        now = time.monotonic()
        timers.append(reactor.call_at(now, first))
        timers.append(reactor.call_at(now, partial(seen, "cancelled")))
        reactor.call_at(now, partial(seen, "last"))

    reactor.call_soon(prepare)
    assert ["first", "last"] == seen.take(2)
    timers[0].cancel()
    assert seen.is_empty


def test_cancelled_timers_do_not_pile_up(reactor: Reactor) -> None:
    """
    Ten thousand leave a handful, and those that were set between them come in their order.
    """
    seen = Inbox[int]()

    def set_many() -> int:
        now = time.monotonic()
        for number in range(100):
            reactor.call_at(now + number / 1e6, partial(seen, number))
            for _ in range(100):
                reactor.call_at(now + 60.0, partial(seen, -1)).cancel()
        return len(reactor._timers)

    n_timers = on_reactor(reactor, set_many)
    assert isinstance(n_timers, int)
    assert n_timers <= 2 * 100 + 64
    assert list(range(100)) == seen.take(100)


def test_bad_calls_are_logged(
    reactor: Reactor, pair: Pair, caplog: pytest.LogCaptureFixture, reactor_failures: list[str]
) -> None:
    """
    A call, a timer or a callback that raises is logged, and the reactor lives on.
    """
    near, far = pair

    def fail(*_: object) -> None:
        reactor.unregister(near.fileno())
        raise LookupError("a bug")

    with caplog.at_level(logging.ERROR, "webworker_executor.link"):
        reactor.call_soon(fail)
        reactor.call_soon(lambda: reactor.call_at(time.monotonic(), fail))
        reactor.register(near.fileno(), READ, fail)
        far.send(b"x")
        done = threading.Event()
        reactor.call_soon(lambda: reactor.call_at(time.monotonic() + 0.02, done.set))
        assert done.wait(20)
    reactor.unregister(near.fileno())
    assert {"a call on the reactor failed"} == {record.message for record in caplog.records}
    reactor_failures.clear()
    assert {LookupError} == {record.exc_info[0] for record in caplog.records if record.exc_info}
    assert reactor.thread.is_alive()


def test_logging_may_fail(reactor: Reactor, reactor_failures: list[str]) -> None:
    """
    A handler of the program's logging that raises takes nobody's I/O away.
    """

    class Handler(logging.Handler):
        def emit(self, record: logging.LogRecord) -> None:
            raise SystemExit("a bug of the program's")

    handler = Handler()
    logger = logging.getLogger("webworker_executor.link")
    logger.addHandler(handler)
    try:
        reactor.call_soon(lambda: next(iter(())))
        done = threading.Event()
        reactor.call_soon(done.set)
        assert done.wait(20)
    finally:
        logger.removeHandler(handler)
    reactor_failures.clear()


class Finalized:
    """
    An object of which the end is told.
    """

    __slots__ = ("__del__",)

    def __init__(self, finalizer: object) -> None:
        self.__del__ = finalizer


def test_an_end_is_told_on_the_thread(reactor: Reactor) -> None:
    """
    Once, in the order of the ends.
    """
    told: Inbox[tuple[int, bool]] = Inbox()

    def tell(number: int) -> None:
        told((number, reactor.is_current_thread))

    for number in range(3):
        Finalized(reactor.finalizer(partial(tell, number)))
    assert [(0, True), (1, True), (2, True)] == told.take(3)


def test_an_end_after_that_of_the_reactor() -> None:
    """
    It is told to nobody, and written nowhere, though the descriptor's number is another's.
    """
    reactor = Reactor()
    reactor.start()
    told: list[int] = []
    late = Finalized(reactor.finalizer(partial(told.append, 1)))
    reactor.stop()
    reactor.join()
    with contextlib.ExitStack() as stack:
        others = [os.eventfd(0, os.EFD_NONBLOCK) for _ in range(4)]
        for fd in others:
            stack.callback(os.close, fd)
        del late
        for fd in others:
            with pytest.raises(BlockingIOError):
                os.eventfd_read(fd)
    assert [] == told


INTERRUPTED = """
import signal, time
from webworker_executor.link.reactor import Reactor

class Stop(Exception):
    pass

def handler(*_):
    global n_signals, n_raised
    n_signals += 1
    if may_raise:
        n_raised += 1
        raise Stop

class Finalized:
    __slots__ = ("__del__",)

may_raise, n_signals, n_raised, n_caught, n_made, told = False, 0, 0, 0, 0, []
reactor = Reactor()
reactor.start()
signal.signal(signal.SIGALRM, handler)
signal.setitimer(signal.ITIMER_REAL, 0.0003, 0.0003)
deadline = time.monotonic() + 20
while n_signals < 500 and time.monotonic() < deadline:
    finalized = Finalized()
    finalized.__del__ = reactor.finalizer(lambda: told.append(1))
    n_made += 1
    try:
        may_raise = True
        finalized = None
        may_raise = False
    except Stop:
        may_raise = False
        n_caught += 1
signal.setitimer(signal.ITIMER_REAL, 0)
reactor.stop()
reactor.join()
print(n_signals >= 500, n_raised == n_caught, n_made == len(told))
"""


def test_an_end_swallows_nothing_that_a_handler_raises(run_script: ScriptRunner) -> None:
    """
    Nor is an end forgotten for it.
    """
    done = run_script(INTERRUPTED)
    assert ("True True True\n", "") == (done.stdout, done.stderr)


def test_stop_makes_the_calls_that_wait() -> None:
    """
    What was asked for before `stop`, and what that asks for, is still done.
    """
    reactor = Reactor()
    reactor.start()
    seen: list[str] = []
    gate = threading.Event()
    reactor.call_soon(lambda: gate.wait(20))
    reactor.call_soon(lambda: reactor.call_soon(partial(seen.append, "second")))
    reactor.call_soon(partial(seen.append, "first"))
    reactor.stop()
    gate.set()
    reactor.join()
    assert ["first", "second"] == seen


def test_stop_from_its_own_thread() -> None:
    """
    A reactor may be stopped and joined by a call of its own.
    """
    reactor = Reactor()
    reactor.start()

    def end() -> None:
        reactor.stop()
        reactor.join()

    reactor.call_soon(end)
    reactor.join()
    assert not reactor.thread.is_alive()


def test_stop_closes_the_descriptors() -> None:
    """
    With the thread all descriptors go; who comes late does no harm.
    """
    before = sorted(os.listdir("/proc/self/fd"))
    reactor = Reactor()
    reactor.start()
    reactor.stop()
    reactor.join()
    assert before == sorted(os.listdir("/proc/self/fd"))
    reactor.call_soon(lambda: None)
    reactor.stop()
    assert before == sorted(os.listdir("/proc/self/fd"))


def test_who_rings_late_writes_into_nothing_else() -> None:
    """
    A finalizer that was about to ring when the reactor ended has a descriptor of its own still.
    """
    reactor = Reactor()
    reactor.start()
    *_, ring = reactor.bell(lambda: None)
    reactor.stop()
    reactor.join()
    # They take the numbers that were free by then.
    others = [os.eventfd(0, os.EFD_NONBLOCK) for _ in range(4)]
    try:
        ring()
        for other in others:
            with pytest.raises(BlockingIOError):
                os.eventfd_read(other)
    finally:
        for other in others:
            os.close(other)


def test_thread_is_ours_and_daemon(reactor: Reactor) -> None:
    """
    The thread can be told from the program's and does not hold the interpreter.
    """
    assert ("webworker-reactor", True) == (reactor.thread.name, reactor.thread.daemon)


NONE_LEFT = """
import errno, json, os, resource
from webworker_executor.link.reactor import Reactor

def open_fds():
    return sorted(map(int, os.listdir("/proc/self/fd")))

before = open_fds()
outcomes = []
for room in range(3):
    resource.setrlimit(resource.RLIMIT_NOFILE, (len(before) - 1 + room, 4096))
    try:
        reactor = Reactor()
        reactor.start()
    except OSError as error:
        outcomes.append(errno.errorcode[error.errno])
    else:
        outcomes.append("opened")
        reactor.stop()
        reactor.join()
    resource.setrlimit(resource.RLIMIT_NOFILE, (4096, 4096))
    assert open_fds() == before
print(json.dumps(outcomes))
"""


def test_no_descriptor_is_left(run_script: ScriptRunner) -> None:
    """
    A reactor that cannot come to be leaves nothing open.
    """
    done = run_script(
        "import os; os.closerange(3, 4096)\n" + NONE_LEFT,
    )
    assert "" == done.stderr
    assert ["EMFILE", "EMFILE", "opened"] == json.loads(done.stdout)


def test_no_thread_can_be_started(monkeypatch: pytest.MonkeyPatch) -> None:
    """
    Where no thread can be started, nothing stays open.
    """

    def refuse(thread: threading.Thread) -> None:
        raise RuntimeError("can't start new thread")

    before = sorted(os.listdir("/proc/self/fd"))
    monkeypatch.setattr(threading.Thread, "start", refuse)
    with pytest.raises(RuntimeError, match="can't start new thread"):
        Reactor().start()
    assert before == sorted(os.listdir("/proc/self/fd"))


@pytest.mark.filterwarnings("ignore:This process .* is multi-threaded:DeprecationWarning")
def test_forked_copy_lets_go(reactor: Reactor, pair: Pair) -> None:
    """
    A forked copy closes its descriptors, and the reactor of the original serves on.
    """
    near, far = pair
    seen = Inbox[bytes]()
    reactor.register(near.fileno(), READ, lambda _: seen(near.recv(10)))
    pid = os.fork()
    if pid == 0:
        try:
            before = len(os.listdir("/proc/self/fd"))
            reactor.close_after_fork()
            reactor.unregister(near.fileno())
            reactor.call_soon(lambda: None)
            os._exit(before - len(os.listdir("/proc/self/fd")))
        finally:
            os._exit(100)
    assert 2 == os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])
    far.send(b"still here")
    assert b"still here" == seen.get()
    reactor.unregister(near.fileno())


def test_one_that_was_never_started_can_be_discarded() -> None:
    """
    Nothing stays open of a reactor that nobody needs after all.
    """
    before = sorted(os.listdir("/proc/self/fd"))
    Reactor().discard()
    assert before == sorted(os.listdir("/proc/self/fd"))
