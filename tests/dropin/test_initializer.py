"""Initializers run once in each worker, and their arguments travel by inheritance."""

from __future__ import annotations

import multiprocessing
from concurrent.futures.process import BrokenProcessPool
from typing import TYPE_CHECKING, Any

import pytest

from tests.dropin.gate import Gate, pass_gate
from tests.dropin.sharing import (
    log,
    log_to,
    use_array,
    use_condition,
    use_connection,
    use_event,
    use_lock,
    use_queue,
    use_semaphore,
    use_value,
)
from tests.dropin.tasks import recall, refuse, remember
from webworker_executor import WebWorkerExecutor

if TYPE_CHECKING:
    from collections.abc import Callable
    from multiprocessing.context import BaseContext

    from webworker_executor.web.launchers import LauncherName

pytestmark = pytest.mark.filterwarnings(
    "ignore:This process .* is multi-threaded:DeprecationWarning"
)


@pytest.fixture(scope="module", autouse=True)
def _open_the_heap() -> None:
    """multiprocessing keeps the memory of its first Value for ever: no leak of a test."""
    multiprocessing.Value("i", 0)


METHODS = ["spawn", "forkserver", "fork"]


def test_runs_once_in_each_worker(launcher: LauncherName, gate: Gate) -> None:
    """What the initializer leaves behind is there in each task."""
    with WebWorkerExecutor(
        2, launcher=launcher, initializer=remember, initargs=("a", 1)
    ) as executor:
        for _ in range(2):
            executor.submit(pass_gate, gate.path, None)
        assert 2 == len(set(gate.wait_for_begun(2)))
        gate.open()
        answers = [executor.submit(recall).result() for _ in range(10)]
    assert 10 * [["a", 1]] == answers


def test_may_be_a_lambda(launcher: LauncherName) -> None:
    """An initializer need not be importable."""
    with WebWorkerExecutor(
        1, launcher=launcher, initializer=lambda value: remember(value, value), initargs=(5,)
    ) as executor:
        assert [5, 5] == executor.submit(recall).result()


def test_a_failure_breaks_the_pool_and_tells_why(launcher: LauncherName) -> None:
    """The pool is broken by the stdlib's rule; the initializer's exception is the cause."""
    with WebWorkerExecutor(
        2, launcher=launcher, initializer=refuse, initargs=("no licence",)
    ) as executor:
        futures = [executor.submit(recall)]
        exception = futures[0].exception()
        assert isinstance(exception, BrokenProcessPool)
        assert (ValueError, "no licence") == (type(exception.__cause__), str(exception.__cause__))
        with pytest.raises(BrokenProcessPool):
            executor.submit(recall)


def test_a_failure_has_the_words_of_the_standard_library_in_its_way() -> None:
    """`on_crash="break"` is that to the letter; the exception is the cause all the same."""
    with WebWorkerExecutor(1, initializer=refuse, initargs=("no",), on_crash="break") as executor:
        with pytest.raises(BrokenProcessPool, match="while the future was running or pending") as e:
            executor.submit(recall).result()
        assert isinstance(e.value.__cause__, ValueError)
        with pytest.raises(BrokenProcessPool, match="the process pool is not usable anymore"):
            executor.submit(recall)


def test_arguments_that_cannot_be_packed(launcher: LauncherName) -> None:
    """Arguments that cannot cross break the pool with a clear error, and nothing hangs."""
    generator = (n for n in range(3))
    with WebWorkerExecutor(
        1,
        mp_context=multiprocessing.get_context("spawn"),
        initializer=remember,
        initargs=(generator,),
    ) as executor:
        with pytest.raises((BrokenProcessPool, TypeError)) as caught:
            executor.submit(recall).result()
        assert "generator" in f"{caught.value} {caught.value.__cause__}"


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("context_is_given", [True, False], ids=["same context", "no context"])
class TestInheritance:
    """
    Objects of `multiprocessing` work as arguments of an initializer: everybody's recipes do that.

    Whoever makes them of a context need not give the executor that context.
    """

    def run(
        self,
        context: BaseContext,
        is_given: bool,
        initializer: Callable[[Any], None],
        shared: object,
    ) -> None:
        """Run one task in a pool with the initializer."""
        with WebWorkerExecutor(
            1,
            mp_context=context if is_given else None,
            initializer=initializer,
            initargs=(shared,),
        ) as executor:
            executor.submit(recall).result()

    def test_queue(self, method: str, context_is_given: bool) -> None:
        """What a worker puts into a queue arrives."""
        context = multiprocessing.get_context(method)
        queue = context.Queue()
        self.run(context, context_is_given, use_queue, queue)
        assert "told" == queue.get(timeout=10.0)
        queue.close()
        queue.join_thread()

    def test_simple_queue(self, method: str, context_is_given: bool) -> None:
        """The simple queue too."""
        context = multiprocessing.get_context(method)
        queue = context.SimpleQueue()
        self.run(context, context_is_given, use_queue, queue)
        assert "told" == queue.get()
        queue.close()

    @pytest.mark.parametrize("kind", ["Lock", "RLock"])
    def test_lock(self, method: str, context_is_given: bool, kind: str) -> None:
        """A lock is taken and given back in the worker."""
        context = multiprocessing.get_context(method)
        lock = getattr(context, kind)()
        self.run(context, context_is_given, use_lock, lock)
        assert lock.acquire(timeout=10.0)
        lock.release()

    def test_event(self, method: str, context_is_given: bool) -> None:
        """An event set in the worker is set here."""
        context = multiprocessing.get_context(method)
        event = context.Event()
        self.run(context, context_is_given, use_event, event)
        assert event.wait(10.0)

    def test_value(self, method: str, context_is_given: bool) -> None:
        """A number in shared memory is shared, and its lock."""
        context = multiprocessing.get_context(method)
        value: Any = context.Value("i", 3)
        self.run(context, context_is_given, use_value, value)
        assert 10 == value.value

    def test_array(self, method: str, context_is_given: bool) -> None:
        """An array in shared memory is shared."""
        context = multiprocessing.get_context(method)
        array: Any = context.Array("i", [1, 2, 3])
        self.run(context, context_is_given, use_array, array)
        assert [1, 7, 3] == list(array)

    def test_semaphore(self, method: str, context_is_given: bool) -> None:
        """A semaphore released in the worker can be taken here."""
        context = multiprocessing.get_context(method)
        semaphore = context.Semaphore(0)
        self.run(context, context_is_given, use_semaphore, semaphore)
        assert semaphore.acquire(timeout=10.0)

    def test_condition(self, method: str, context_is_given: bool) -> None:
        """A condition can be notified from the worker."""
        context = multiprocessing.get_context(method)
        condition = context.Condition()
        self.run(context, context_is_given, use_condition, condition)
        with condition:
            assert not condition.wait(0)

    def test_pipe(self, method: str, context_is_given: bool) -> None:
        """The end of a pipe."""
        context = multiprocessing.get_context(method)
        ours, theirs = context.Pipe()
        self.run(context, context_is_given, use_connection, theirs)
        assert "told" == ours.recv()
        ours.close()
        theirs.close()


@pytest.mark.parametrize("method", METHODS)
def test_the_logging_recipe(method: str) -> None:
    """The documented recipe, a QueueHandler set by the initializer, brings the records home."""
    context = multiprocessing.get_context(method)
    queue: Any = context.Queue()
    with WebWorkerExecutor(2, context, log_to, (queue,)) as executor:
        list(executor.map(log, ["one", "two"], chunksize=1))
        records = [queue.get(timeout=10.0) for _ in range(2)]
    queue.close()
    queue.join_thread()
    assert {"one", "two"} == {record.getMessage() for record in records}
