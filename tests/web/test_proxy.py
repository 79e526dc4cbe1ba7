"""
Proxies: an object elsewhere, used as if it were here; and no call ever hangs.
"""

from __future__ import annotations

import asyncio
import contextlib
import copy
import gc
import itertools
import os
import pickle
import signal
import sys
import threading
from concurrent.futures import CancelledError, Future, ThreadPoolExecutor
from functools import partial
from typing import TYPE_CHECKING, Any

import pytest

from tests.link.interrupts import ctrl_c, interrupted_at
from tests.patience import wait_until
from tests.pool.talking import Counter, add_twice, serve
from webworker_executor import (
    DataCloneError,
    MessageChannel,
    PortClosedError,
    WebWorkerExecutor,
    Worker,
    clone,
    construct,
    expose,
    fetch,
    proxy,
    release,
    transfer,
    wrap,
)
from webworker_executor.web import dispatch

if TYPE_CHECKING:
    from collections.abc import Iterator

    from webworker_executor.web.launchers import LauncherName


@pytest.fixture
def remote(launcher: LauncherName) -> Iterator[Any]:
    """
    Make a proxy of a counter at 10, which lives in a worker.
    """
    with WebWorkerExecutor(1, launcher=launcher) as pool:
        channel = MessageChannel()
        pool.submit(serve, channel.port2, 10).result(20.0)
        counter = wrap(channel.port1)
        yield counter
        release(counter)


@pytest.fixture
def near() -> Iterator[Any]:
    """
    Make a proxy of the class of counters, which lives in this process.
    """
    channel = MessageChannel()
    expose(Counter, channel.port1)
    counter = wrap(channel.port2)
    yield counter
    release(counter)


@pytest.fixture
def extreme() -> Iterator[tuple[Extreme, Any]]:
    """
    Make an object of this process, and a proxy of it.
    """
    with MessageChannel() as channel:
        value = Extreme()
        expose(value, channel.port1)
        yield value, wrap(channel.port2)


def test_methods_that_are_async(remote: Any) -> None:
    """
    They are run to their end, in order with the others.
    """
    calls = [remote.add_later(), remote.add(), remote.add_later(step=2)]
    assert [11, 12, 14] == [call.result(10.0) for call in calls]
    with pytest.raises(ValueError, match="as asked"):
        remote.fail_later().result(10.0)


def test_what_is_async_in_a_script() -> None:
    """
    Methods, properties and callbacks are run to their end there, too.
    """
    source = """
import asyncio
from webworker_executor import expose, proxy
class Remote:
    async def add(self, first, second):
        await asyncio.sleep(0)
        return first + second
    @property
    async def worked_out(self):
        return 42
    def callback(self):
        return proxy(self.add)
def onmessage(event):
    expose(Remote(), event.data)
"""
    with Worker(source=source) as worker, MessageChannel() as channel:
        worker.post_message(channel.port2, [channel.port2])
        far = wrap(channel.port1)
        assert 3 == far.add(1, 2).result(10.0)
        assert 42 == fetch(far.worked_out).result(10.0)
        assert 7 == far.callback().result(10.0)(3, 4).result(10.0)


def test_methods_that_are_async_where_a_loop_runs() -> None:
    """
    They are tasks of the loop, and whoever asks next does not wait for them.
    """

    async def main() -> None:
        with MessageChannel() as channel:
            counter = Counter()
            expose(counter, channel.port1)
            near, is_free = wrap(channel.port2), asyncio.Event()

            async def wait_and_add() -> int:
                await is_free.wait()
                return counter.add()

            counter.add_freed = wait_and_add  # type: ignore[attr-defined]  # for this test
            freed = asyncio.wrap_future(near.add_freed())
            assert 1 == await near.add()
            assert not freed.done()
            is_free.set()
            assert 2 == await freed
            with pytest.raises(ValueError, match="as asked"):
                await near.fail_later()

    asyncio.run(asyncio.wait_for(main(), 10.0))


def test_methods_that_return_futures() -> None:
    """
    The answer is what they come to, and whoever asks next does not wait for it.
    """
    come, fail, never = Future[Any](), Future[Any](), Future[Any]()
    with MessageChannel() as channel:
        expose({"come": come, "fail": fail, "never": never}, channel.port1)
        futures = wrap(channel.port2)
        replies = [futures.get(name) for name in ("come", "fail", "never", "nothing")]
        assert replies[3].result(10.0) is None
        assert [False] * 3 == [reply.done() for reply in replies[:3]]
        come.set_result("came")
        assert "came" == replies[0].result(10.0)
        fail.set_exception(ValueError("as asked"))
        with pytest.raises(ValueError, match="as asked"):
            replies[1].result(10.0)
        assert never.cancel()
        with pytest.raises(CancelledError):
            replies[2].result(10.0)


@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")
def test_an_answer_of_later_that_is_broken_off(caplog: pytest.LogCaptureFixture) -> None:
    """
    Whoever asked hears of what a signal handler has raised, or gets the answer after all.
    """

    def interrupt() -> None:
        struck.append(True)
        raise TimeoutError("from the handler")

    # Before the first of these places nothing has begun.
    for step in itertools.count(1):
        later, struck = Future[Any](), list[bool]()
        with MessageChannel() as channel:
            expose({"later": later}, channel.port1)
            reply = wrap(channel.port2).get("later")
            wait_until(partial(getattr, later, "_done_callbacks"))
            with interrupted_at(step, interrupt):
                later.set_result("came")
            error = reply.exception(20.0)
            assert reply.result() == "came" if error is None else "from the handler" in str(error)
        if not struck:
            break
    assert step > 10
    # By the future of the standard library, whose callback it was.
    assert {"concurrent.futures"} >= {record.name for record in caplog.records}


class Coming:
    """What has attributes that are still to come."""

    def __init__(self) -> None:
        self.later = Future[Any]()

    @property
    async def worked_out(self) -> int:
        return 42


def test_attributes_that_are_futures() -> None:
    """
    What they come to is fetched, and of a property that is async def what it returns.
    """
    coming = Coming()
    with MessageChannel() as channel:
        expose(coming, channel.port1)
        near = wrap(channel.port2)
        later = fetch(near.later)
        assert 42 == fetch(near.worked_out).result(10.0)
        assert not later.done()
        coming.later.set_result("came")
        assert "came" == later.result(10.0)


def test_a_method_that_asks_back_returns_the_reply(remote: Any) -> None:
    """
    As `return callback(...)` does, where the callback is a proxy.
    """
    assert 42 == remote.ask(proxy(lambda number: 2 * number), 21).result(10.0)


def test_methods_attributes_and_exceptions(remote: Any) -> None:
    """
    Called, fetched, set, and raised here with the frames of there.
    """
    assert 12 == remote.add(2).result(10.0)
    assert 12 == fetch(remote.number).result(10.0)
    remote.number = 100
    assert 103 == remote.add(step=3).result(10.0)
    with pytest.raises(ValueError, match="as asked") as caught:
        remote.fail().result(10.0)
    assert "fail" in [frame.name for frame in caught.traceback]
    with pytest.raises(AttributeError, match="nonsense"):
        remote.nonsense().result(10.0)


def test_what_cannot_be_sent_is_a_type_error(remote: Any) -> None:
    """
    At the caller, and the other side lives on.
    """
    with pytest.raises(TypeError, match=r"^what lock returned cannot be sent: result: .*\. Return"):
        remote.lock().result(10.0)
    with pytest.raises(DataCloneError, match="cannot pickle"):
        remote.add(threading.Lock())
    assert 11 == remote.add().result(10.0)


def test_callbacks_go_by_reference(remote: Any) -> None:
    """
    They are called here, also while the other side waits for them.
    """
    here: list[int] = []

    def triple(number: int) -> int:
        here.append(number)
        return 3 * number

    assert 42 == remote.call(proxy(triple), 14).result(10.0)
    assert [14] == here


def test_the_death_of_the_other_side_fails_every_call(remote: Any) -> None:
    """
    Those that wait and those that come.
    """
    pid = remote.pid().result(10.0)
    may_return = threading.Event()
    waiting = remote.call(proxy(lambda number: may_return.wait(20.0)), 1)
    os.kill(pid, signal.SIGKILL)
    try:
        with pytest.raises(PortClosedError, match="its process has ended"):
            waiting.result(10.0)
        with pytest.raises(PortClosedError):
            remote.add().result(10.0)
    finally:
        may_return.set()


def test_classes_make_instances_there(near: Any) -> None:
    """
    The instance stays there, and there may be several.
    """
    first, second = (construct(near, start).result(10.0) for start in (1, 5))
    assert (2, 6) == (first.add().result(10.0), second.add().result(10.0))
    assert isinstance(near(7).result(10.0), Counter)
    assert "<Proxy add>" == repr(first.add)
    assert "<Proxy>" == repr(near)


def test_a_port_in_a_call_is_transferred() -> None:
    """
    A call has no list: the error says what stands for one, and that works.
    """
    got: list[Any] = []
    with MessageChannel() as channel, MessageChannel() as other:
        expose(got, channel.port1)
        remote: Any = wrap(channel.port2)
        with pytest.raises(DataCloneError, match=r"proxy.*transfer\(port, \[port\]\)"):
            remote.append(other.port1)
        remote.append(transfer(other.port1, [other.port1])).result(10.0)
        got[0].post_message("there")
        assert "there" == other.port2.receive(10.0).data
        got[0].close()
        release(remote)


def test_a_clone_is_a_port_of_its_own(remote: Any) -> None:
    """
    It can be wrapped elsewhere, of a part as well, and outlives the proxy.
    """
    other = wrap(clone(remote).result(10.0))
    step = wrap(clone(remote.add).result(10.0))
    assert 11 == other.add().result(10.0)
    assert 12 == step().result(10.0)
    release(remote)
    assert 13 == other.add().result(10.0)
    release(other)
    release(step)


def test_a_clone_is_sent_on(remote: Any) -> None:
    """
    Who gets it calls the object without a way over here.
    """
    with WebWorkerExecutor(1) as pool:
        assert [11, 12] == pool.submit(add_twice, clone(remote).result(10.0)).result(20.0)
    assert 13 == remote.add().result(10.0)


def test_a_released_proxy_fails_and_finalizes_once() -> None:
    """
    All that were made of it, too.
    """
    channel = MessageChannel()
    gone: list[str] = []
    rung = threading.Event()

    def finalize() -> None:
        gone.append("gone")
        rung.set()

    expose(Counter(), channel.port1, finalizer=finalize)
    counter = wrap(channel.port2)
    add = counter.add
    assert 1 == add().result(10.0)
    release(counter)
    release(add)
    with pytest.raises(PortClosedError, match="the proxy was released"):
        add().result(20.0)
    assert rung.wait(10.0)
    assert ["gone"] == gone


def test_a_forgotten_proxy_is_released() -> None:
    """
    With the last one that was made of it.
    """
    channel = MessageChannel()
    rung = threading.Event()
    expose(Counter(), channel.port1, finalizer=rung.set)
    add = wrap(channel.port2).add
    assert 1 == add().result(10.0)
    del add
    gc.collect()
    assert rung.wait(10.0)


def test_a_call_keeps_its_connection_until_it_is_answered() -> None:
    """
    Nobody need hold the proxy for it; then the proxy is released.
    """
    channel = MessageChannel()
    begun, goes_on, rung = threading.Event(), threading.Event(), threading.Event()

    class Slow:
        def get(self) -> str:
            begun.set()
            assert goes_on.wait(10.0)
            return "got"

    expose(Slow(), channel.port1, finalizer=rung.set)
    reply = wrap(channel.port2).get()
    assert begun.wait(10.0)
    gc.collect()
    goes_on.set()
    assert "got" == reply.result(10.0)
    assert rung.wait(10.0)


def test_replies_can_be_awaited(near: Any) -> None:
    """
    And a proxy by itself stands for its value.
    """

    async def main() -> tuple[int, int]:
        counter = await construct(near, 3)
        return await counter.add(), await counter.number

    assert (4, 4) == asyncio.run(asyncio.wait_for(main(), 10.0))


def test_a_request_that_does_not_unpack_is_answered(near: Any) -> None:
    """
    With what unpacking raised.
    """
    from tests.pool.work import Unopenable

    with pytest.raises(ValueError, match="no number"):
        near(Unopenable()).result(10.0)
    assert isinstance(near().result(10.0), Counter)


def test_an_answer_that_does_not_unpack_is_an_error_here() -> None:
    """
    And the next one is not.
    """
    from tests.pool import work

    channel = MessageChannel()
    expose(work, channel.port1)
    module = wrap(channel.port2)
    with pytest.raises(ValueError, match="no number"):
        module.make_unopenable().result(10.0)
    assert 4 == module.double(2).result(10.0)
    release(module)


class PacksLate:
    """Has been packed when it is told to."""

    def __init__(self) -> None:
        self.is_begun = threading.Event()
        self.may_go_on = threading.Event()

    def __reduce__(self) -> tuple[type[int], tuple[str]]:
        self.is_begun.set()
        assert self.may_go_on.wait(10.0)
        return int, ("5",)


def test_what_does_not_unpack_is_told_to_its_own_call(near: Any) -> None:
    """
    Not to the oldest one: of two threads, the one that called first may post last.
    """
    from tests.pool.work import Unopenable

    late = PacksLate()
    with ThreadPoolExecutor(1) as threads:
        first = threads.submit(near, late)
        assert late.is_begun.wait(10.0)
        with pytest.raises(ValueError, match="no number"):
            near(Unopenable()).result(10.0)
        late.may_go_on.set()
        assert 5 == first.result(10.0).result(10.0).number


def test_what_cannot_be_told_from_others_is_told_to_all() -> None:
    """
    An answer that fails before its number is somebody's: nobody waits for ever.
    """
    from tests.pool.work import Unopenable

    with MessageChannel() as channel:
        remote = wrap(channel.port2)
        replies = [remote.one(), remote.two()]
        channel.port1.post_message(Unopenable())
        for reply in replies:
            with pytest.raises(ValueError, match="no number"):
                reply.result(10.0)
        release(remote)


class Exits:
    """
    Ends whoever unpacks it.
    """

    def __reduce__(self) -> Any:
        return sys.exit, (3,)


class Refuses:
    """
    Ends whoever packs it.
    """

    def __reduce__(self) -> Any:
        raise SystemExit(4)


class Extreme:
    """
    Returns what is hard to send, when it is let go.
    """

    def __init__(self) -> None:
        self.go_on = threading.Event()

    def exits(self) -> Exits:
        return Exits()

    def refuses(self) -> Refuses:
        return Refuses()

    def wait(self, number: int) -> int:
        assert self.go_on.wait(20.0)
        return number


def test_an_answer_that_would_end_a_thread_ends_a_call(extreme: tuple[Extreme, Any]) -> None:
    """
    ``SystemExit`` out of packing or unpacking an answer is the error of its call; others go on.
    """
    value, remote = extreme
    value.go_on.set()
    with pytest.raises(SystemExit):
        remote.exits().result(20.0)
    with pytest.raises(TypeError, match=r"what refuses returned cannot be sent: .*4"):
        remote.refuses().result(20.0)
    assert 1 == remote.wait(1).result(20.0)


def test_an_argument_that_would_end_a_thread_ends_a_call(extreme: tuple[Extreme, Any]) -> None:
    """
    ``SystemExit`` out of unpacking a request is the error of its call; others go on.
    """
    value, remote = extreme
    value.go_on.set()
    with pytest.raises(SystemExit):
        remote.wait(Exits()).result(20.0)
    assert 1 == remote.wait(1).result(20.0)


def test_a_callback_that_exits_costs_no_other_call(
    extreme: tuple[Extreme, Any], caplog: pytest.LogCaptureFixture
) -> None:
    """
    Whatever a callback of a reply raises, the other replies are resolved.
    """
    value, remote = extreme
    replies = [remote.wait(number) for number in range(2)]
    replies[0].add_done_callback(lambda _: sys.exit())
    value.go_on.set()
    assert [0, 1] == [reply.result(20.0) for reply in replies]
    assert ["a callback of a reply failed"] == [record.message for record in caplog.records]


def test_a_callback_that_exits_at_the_end(extreme: tuple[Extreme, Any]) -> None:
    """
    Of calls that fail because the proxy is released, too.
    """
    value, remote = extreme
    replies = [remote.wait(number) for number in range(3)]
    for reply in replies:
        reply.add_done_callback(lambda _: sys.exit())
    # Raised here, unless the thread that waits for answers sees the end first.
    with contextlib.suppress(SystemExit):
        release(remote)
    value.go_on.set()
    assert [PortClosedError] * 3 == [type(reply.exception(20.0)) for reply in replies]


def test_no_thread_for_the_answers(
    extreme: tuple[Extreme, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    """
    Where no thread can be started the call says so, and the next one tries again.
    """
    value, remote = extreme
    value.go_on.set()

    def refuse(*_: object) -> None:
        raise RuntimeError("can't start new thread")

    with monkeypatch.context() as patch:
        patch.setattr(threading.Thread, "start", refuse)
        with pytest.raises(RuntimeError, match="can't start"):
            remote.wait(1)
    assert 2 == remote.wait(2).result(20.0)


def test_special_names_are_not_served(near: Any) -> None:
    """
    Neither asked for here, nor answered there.
    """
    with pytest.raises(AttributeError):
        _ = near.__globals__
    connection = near._lease.connection
    with pytest.raises(AttributeError, match="special names"):
        connection.request("get", ("add", "__globals__"), (), {}, None).result(10.0)


def test_proxies_stay_where_they_are(near: Any) -> None:
    """
    Neither they nor marks can be pickled by themselves.
    """
    with pytest.raises(TypeError, match="cannot be sent on"):
        pickle.dumps(near)
    with pytest.raises(TypeError, match="goes in a message"):
        copy.copy(proxy(1))


@pytest.mark.parametrize("call", [fetch, construct, clone, release])
def test_what_is_no_proxy(call: Any) -> None:
    """
    It is told what is wanted, and by whom.
    """
    with pytest.raises(TypeError, match=rf"^{call.__name__}\(\) takes a Proxy, .*, not 3$"):
        call(3)


def test_what_is_no_port() -> None:
    """
    It is refused at the call: nobody would ever answer.
    """
    with pytest.raises(TypeError, match=r"^wrap\(\) takes a MessagePort, .*, not 3$"):
        wrap(3)  # type: ignore[arg-type]  # what is tested
    with pytest.raises(TypeError, match=r"^expose\(\) takes a MessagePort, .*, not 3$"):
        expose([], 3)  # type: ignore[arg-type]  # what is tested
    with MessageChannel() as channel, pytest.raises(TypeError, match="finalizer must be callable"):
        expose([], channel.port1, finalizer=3)  # type: ignore[arg-type]  # what is tested


@pytest.mark.parametrize("error", [KeyboardInterrupt, SystemExit, TimeoutError])
def test_a_request_that_a_signal_handler_breaks_off_anywhere_is_answered(
    error: type[BaseException],
) -> None:
    """
    Wherever a signal handler raises, the call comes to an end, and so does the next one.
    """

    def stop() -> None:
        raise error

    calls: list[Any] = []
    dispatch.install(calls.append)
    try:
        with MessageChannel() as channel:
            expose(abs, channel.port1)
            distance = wrap(channel.port2)
            step = 0
            is_broken_off = True
            while is_broken_off:
                reply = distance(-1)
                wait_until(lambda: calls)
                is_broken_off = False

                def stop_once() -> None:
                    nonlocal is_broken_off
                    is_broken_off = True
                    stop()

                with contextlib.suppress(error), interrupted_at(step, stop_once):
                    calls.pop(0)()
                other = distance(-2)

                def are_answered(replies: tuple[Any, ...] = (reply, other)) -> bool:
                    while calls:
                        calls.pop(0)()
                    return all(each.done() for each in replies)

                wait_until(are_answered)
                assert 2 == other.result(), step
                step += 1
            assert (1, True) == (reply.result(), step > 20)
    finally:
        dispatch.install(None)


def test_a_release_that_is_broken_off_anywhere_is_one_all_the_same() -> None:
    """Wherever a signal handler raises, the other side hears of it, once."""

    # Before the first of these places nothing has begun.
    is_through, step = False, 3
    while not is_through:
        with MessageChannel() as channel:
            ends: list[bool] = []
            expose(Counter(), channel.port1, finalizer=partial(ends.append, True))
            remote = wrap(channel.port2)
            assert 1 == remote.add(1).result(20.0)
            # A finalizer of the round before would swallow what is raised in it.
            gc.collect()
            with contextlib.suppress(KeyboardInterrupt), interrupted_at(step, ctrl_c):
                release(remote)
                is_through = True
            wait_until(partial(list.__len__, ends))
            assert isinstance(remote.add(1).exception(20.0), PortClosedError)
            assert [True] == ends
        step += 1
    assert step > 10


@pytest.mark.parametrize("is_asked", [False, True])
def test_no_handler_comes_between_while_a_proxy_is_forgotten(is_asked: bool) -> None:
    """What it raised would be swallowed, and the thread and the port of the proxy stay."""
    struck, ends = list[bool](), list[bool]()
    channel = MessageChannel()
    expose(Counter(), channel.port1, finalizer=partial(ends.append, True))
    remotes = [wrap(channel.port2)]
    del channel
    if is_asked:
        assert 1 == remotes[0].add(1).result(20.0)
    with interrupted_at(0, partial(struck.append, True)):
        remotes.clear()
    wait_until(partial(list.__len__, ends))
    wait_until(lambda: all(each.name != "webworker-proxy" for each in threading.enumerate()))
    assert not struck


def test_a_proxy_that_is_forgotten_after_its_end_prints_nothing(capfd: Any) -> None:
    """Whatever has closed the port before."""
    for end in (release, None):
        channel = MessageChannel()
        expose(Counter(), channel.port1)
        remote = wrap(channel.port2)
        assert 1 == remote.add(1).result(20.0)
        if end is None:
            channel.port1.close()
            wait_until(partial(getattr, channel.port2, "closed"))
        else:
            end(remote)
        del remote, channel
    assert ("", "") == capfd.readouterr()


def test_a_handler_that_waits_for_an_answer_gets_it_or_is_told_that_it_cannot() -> None:
    """Where it has interrupted the very write that comes before its own, it would wait for ever."""
    replies: list[Any] = []
    told: list[str] = []

    def ask() -> None:
        replies.append(distant.add(1))
        for wait in (replies[-1].result, replies[-1].exception):
            try:
                wait(20.0)
            except RuntimeError as error:
                told.append(str(error))

    with MessageChannel() as channel:
        expose(Counter(), channel.port1)
        distant = wrap(channel.port2)
        assert 1 == distant.add(1).result(20.0)
        for step in itertools.count():
            n_before = len(replies)
            with interrupted_at(step, ask):
                replies.append(distant.add(1))
            if len(replies) == n_before + 1:
                # No handler came any more.
                break
        results = [reply.result(20.0) for reply in replies]
    assert sorted(results) == list(range(2, 2 + len(results)))
    assert (True, {True}) == (step > 20, {"has interrupted" in text for text in told})
