"""
What cannot be packed fails its own future, as the standard library has it.
"""

from __future__ import annotations

import ctypes
import functools
import signal
import threading
from typing import TYPE_CHECKING, Any

import pytest

from tests.link.interrupts import broken_off
from tests.pool.work import Unpackable, double, make_lock
from webworker_executor import MessageChannel
from webworker_executor.pool.call import Call
from webworker_executor.pool.failing import fail

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from webworker_executor import WebWorkerExecutor


def test_the_future_has_failed_with_the_text_of_the_traceback(forked: WebWorkerExecutor) -> None:
    """
    The cause shows where packing failed; the pool has counted it.
    """
    try:
        raise ValueError("why")
    except ValueError as error:
        future = fail(forked._pool, Call(1), error, double, (1,), {})
    exc = future.exception(0)
    assert isinstance(exc, ValueError)
    assert "in test_the_future_has_failed_with_the_text" in str(exc.__cause__)
    assert (1, 1) == (forked.statistics().n_submitted, forked.statistics().n_failed)


def test_one_bad_argument_fails_one_task(pool: WebWorkerExecutor) -> None:
    """
    ``submit`` itself does not raise, and the tasks around are done.
    """
    futures = [pool.submit(double, argument) for argument in (1, Unpackable(), 3)]  # type: ignore[call-overload]  # what it does not take
    assert 2 == futures[0].result(10.0)
    with pytest.raises(ValueError, match="not to be packed"):
        futures[1].result(10.0)
    assert 6 == futures[2].result(10.0)


class Interrupting:
    """
    An argument whose packing is interrupted by Ctrl-C.
    """

    def __reduce__(self) -> tuple[object, ...]:
        raise KeyboardInterrupt


def test_ctrl_c_while_packing_is_not_swallowed(forked: WebWorkerExecutor) -> None:
    """
    An interrupt belongs to the program, not to a future.
    """
    with pytest.raises(KeyboardInterrupt):
        forked.submit(double, Interrupting())  # type: ignore[call-overload]  # what it does not take
    assert 4 == forked.submit(double, 2).result(10.0)


class Struck:
    """
    An argument whose packing a signal comes into.
    """

    def __reduce__(self) -> tuple[object, ...]:
        signal.raise_signal(signal.SIGUSR1)
        return int, ()


class Leaving:
    """
    An argument whose own packing raises an error.
    """

    def __init__(self, error: type[BaseException]) -> None:
        self.error = error

    def __reduce__(self) -> tuple[object, ...]:
        raise self.error("mine")


class Supervisor:
    """
    One whose method is a signal handler.
    """

    def __init__(self, error: type[BaseException]) -> None:
        self.error = error

    def handle(self, number: int, frame: object) -> None:
        """
        Raise what was given, some calls below.
        """
        Leaving(self.error).__reduce__()


def handler(error: type[BaseException]) -> Callable[..., object]:
    """
    Return one that takes whatever it gets, and has its own reset first.
    """

    def handle(*_: object) -> None:
        signal.signal(signal.SIGUSR1, signal.SIG_IGN)
        raise error("mine")

    return handle


@pytest.fixture
def usr1() -> Iterator[None]:
    """
    Put the handler of a signal back in its place.
    """
    before = signal.getsignal(signal.SIGUSR1)
    yield
    signal.signal(signal.SIGUSR1, before)


def kept_by_name(**named: object) -> None:
    """
    Take anything.
    """


HOOKED: list[Callable[[WebWorkerExecutor, Any], Any]] = [
    lambda pool, argument: pool.submit(double, argument),
    lambda pool, argument: pool.submit(kept_by_name, named=[argument]),
    # By value, which is tried in two ways.
    lambda pool, argument: pool.submit(lambda: argument),
    lambda pool, argument: pool.options(retries=1).submit(double, argument),
    lambda pool, argument: list(pool.map(double, [argument])),
]


@pytest.mark.usefixtures("usr1")
@pytest.mark.parametrize("submit", HOOKED)
@pytest.mark.parametrize("error", [SystemExit, TimeoutError])
@pytest.mark.parametrize("make", [handler, lambda error: Supervisor(error).handle])
def test_what_a_handler_raises_while_packing_is_the_programs(
    forked: WebWorkerExecutor,
    make: Callable[[type[BaseException]], Callable[..., object]],
    error: type[BaseException],
    submit: Callable[[WebWorkerExecutor, Any], Any],
) -> None:
    """
    Also in the midst of a user's hook: ``sys.exit()`` of a handler ends the program, and the call
    has never been.
    """
    signal.signal(signal.SIGUSR1, make(error))
    with pytest.raises(error, match="mine"):
        submit(forked, Struck())
    assert 0 == forked.statistics().n_submitted
    assert 4 == forked.submit(double, 2).result(10.0)


@pytest.mark.usefixtures("usr1")
def test_what_was_to_be_transferred_stays_where_a_handler_raises(forked: WebWorkerExecutor) -> None:
    """
    Nothing was given up for a call that has never been.
    """
    argument: Any = Struck()
    with MessageChannel() as channel:
        signal.signal(signal.SIGUSR1, handler(SystemExit))
        with pytest.raises(SystemExit):
            forked.options(transfer=[channel.port1]).submit(print, channel.port1, argument)
        channel.port1.post_message("still here")
        assert "still here" == channel.port2.receive(10.0).data


@pytest.mark.parametrize("submit", HOOKED[:-1])
@pytest.mark.parametrize("error", [SystemExit, GeneratorExit, TimeoutError])
def test_what_a_hook_raises_is_the_futures(
    forked: WebWorkerExecutor,
    error: type[BaseException],
    submit: Callable[[WebWorkerExecutor, Any], Any],
) -> None:
    """
    As the standard library has it, whatever it is.
    """
    exc = submit(forked, Leaving(error)).exception(10.0)
    assert (error, ("mine",)) == (type(exc), exc.args)


@pytest.mark.usefixtures("usr1")
def test_what_a_hook_raises_within_a_handler_is_the_futures(forked: WebWorkerExecutor) -> None:
    """
    A handler may submit, too: it is the frames of the packing alone that count.
    """
    futures: list[Any] = []
    signal.signal(
        signal.SIGUSR1,
        lambda *_: futures.append(HOOKED[0](forked, Leaving(SystemExit))),
    )
    signal.raise_signal(signal.SIGUSR1)
    assert isinstance(futures[0].exception(10.0), SystemExit)


def test_a_handler_that_raises_anywhere_in_a_submit(forked: WebWorkerExecutor) -> None:
    """
    Its error is raised, wherever it comes: no future has it.
    """
    forked.submit(double, 2).result(10.0)
    futures: list[Any] = []
    argument: Any = Plain()
    for _ in broken_off(lambda: futures.append(forked.submit(double, argument))):
        pass
    # The last time it was not broken off.
    assert [0] == [future.result(10.0) for future in futures]


class Plain:
    """
    An argument that is packed by a call of its own.
    """

    def __reduce__(self) -> tuple[object, ...]:
        return int, ()


class Cut:
    """
    An argument whose packing is ended by C, with no frame of its own.
    """

    def __init__(self, error: type[BaseException]) -> None:
        self.__reduce_ex__ = functools.partial(  # type: ignore[method-assign]  # the pickler takes it
            ctypes.pythonapi.PyErr_SetNone, ctypes.py_object(error)
        )


@pytest.mark.parametrize("submit", HOOKED)
def test_what_ends_a_packing_from_outside_is_the_programs(
    forked: WebWorkerExecutor, submit: Callable[[WebWorkerExecutor, Any], Any]
) -> None:
    """
    Libraries that switch tasks end one so, at any line. An ``Exception`` may be the pickler's.
    """
    with pytest.raises(GeneratorExit):
        submit(forked, Cut(GeneratorExit))
    assert 0 == forked.statistics().n_submitted
    assert isinstance(forked.submit(double, Cut(OSError)).exception(10.0), OSError)  # type: ignore[call-overload]  # what it does not take


LOCK = threading.Lock()


class Holder:
    """
    Has a method to submit, and something that stays here.
    """

    def __init__(self) -> None:
        self.lock = threading.Lock()

    def work(self) -> None:
        """
        Do nothing.
        """


@pytest.mark.parametrize(
    ("call", "path"),
    [
        (lambda pool: pool.submit(double, {"a": [LOCK]}), 'args[0]["a"][0]'),
        (lambda pool: pool.submit(double, number=LOCK), 'kwargs["number"]'),
        (lambda pool: pool.submit(Holder().work), "fn.__self__.lock"),
        (lambda pool: pool.options(retries=1).submit(double, 1, LOCK), "args[1]"),
        (lambda pool: pool.submit(make_lock, "a"), 'result["a"]'),
    ],
)
def test_a_note_names_what_does_not_pickle(forked: WebWorkerExecutor, call: Any, path: str) -> None:
    """
    Class and message of the error are the standard library's; the note is ours.
    """
    exc = call(forked).exception(10.0)
    assert (TypeError, "cannot pickle '_thread.lock' object") == (type(exc), str(exc))
    (note,) = exc.__notes__
    assert note.startswith(f"{path} cannot be sent. ")
    assert path in str(exc.__cause__)


def test_a_note_names_a_result_of_a_map(forked: WebWorkerExecutor) -> None:
    """
    Also where many calls make one task.
    """
    with pytest.raises(TypeError) as caught:
        list(forked.map(make_lock, range(1000)))
    assert caught.value.__notes__[0].startswith("result[0] cannot be sent. ")


def test_no_note_on_what_stands_around_a_call(forked: WebWorkerExecutor) -> None:
    """
    An actor's arguments are within those of a function of ours, which nobody knows.
    """
    actor = forked.actor(list)
    assert not hasattr(actor.append(LOCK).exception(10.0), "__notes__")
