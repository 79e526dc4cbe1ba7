"""
What is settled before the first worker: options, contexts, launchers, and what workers bring along.
"""

from __future__ import annotations

import multiprocessing
import os
import threading
from functools import partial
from typing import TYPE_CHECKING, Any

import pytest

from tests.pool import work
from tests.threads import fork_while_held
from webworker_executor import (
    AbortController,
    BrokenWorkerPool,
    DataCloneError,
    FileDescriptor,
    MessageChannel,
    SharedBuffer,
    WebWorkerExecutor,
    ZygoteLauncher,
    proxy,
    scope,
)
from webworker_executor.pool import starting

if TYPE_CHECKING:
    from collections.abc import Callable

    from webworker_executor.web.launchers import LauncherName

LOCK = threading.Lock()


def with_a_lock_that_packs() -> dict[str, Any]:
    """
    Make options anew: a lock of ``multiprocessing`` is counted for as long as it is there.
    """
    lock = multiprocessing.get_context("spawn").Lock()
    return {"initializer": work.keep, "initargs": (lock, LOCK)}


def test_the_default_is_a_worker_for_each_cpu() -> None:
    """
    As the standard library of the running Python counts them.
    """
    count = getattr(os, "process_cpu_count", os.cpu_count)
    assert count() == starting.count_workers(None)
    assert 1 == starting.count_workers(True)


@pytest.mark.parametrize(
    ("error", "message", "options"),
    [
        (ValueError, "max_workers must be greater than 0", {"max_workers": 0}),
        (TypeError, "'<=' not supported", {"max_workers": "2"}),
        (TypeError, "cannot be interpreted as an integer", {"max_workers": 1.5}),
        (TypeError, "initializer must be a callable", {"initializer": 1}),
        (TypeError, "max_tasks_per_child must be an integer", {"max_tasks_per_child": 1.5}),
        (ValueError, "max_tasks_per_child must be >= 1", {"max_tasks_per_child": 0}),
        (ValueError, "on_crash must be 'replace' or 'break', not 'x'", {"on_crash": "x"}),
        (TypeError, "name must be a text, not 3", {"name": 3}),
        (TypeError, "env must be a mapping of strings, not int", {"env": 1}),
        (TypeError, r"env\['A'\] must be a text, not 1", {"env": {"A": 1}}),
        (
            TypeError,
            r"initargs must be a tuple, such as \(3,\)",
            {"initializer": abs, "initargs": 3},
        ),
        (ValueError, "launcher must be 'spawn', 'zygote' or 'fork'", {"launcher": "x"}),
        (TypeError, "launcher must be a name or a launcher, not int", {"launcher": 1}),
        (ValueError, "cannot find context for 'x'", {"mp_context": "x"}),
        (TypeError, "mp_context must be a multiprocessing context", {"mp_context": 1}),
        (ValueError, "not both", {"mp_context": "spawn", "launcher": "spawn"}),
        (
            ValueError,
            "max_tasks_per_child is incompatible with the 'fork'",
            {"mp_context": "fork", "max_tasks_per_child": 1},
        ),
    ],
)
def test_options_that_cannot_work_are_refused(
    error: type[Exception], message: str, options: dict[str, object]
) -> None:
    """
    At construction, with what was wrong.
    """
    with pytest.raises(error, match=message):
        WebWorkerExecutor(**options)  # type: ignore[arg-type]  # the mistakes under test


@pytest.mark.parametrize(
    ("launcher", "method"), [("spawn", "spawn"), ("zygote", "forkserver"), ("fork", "fork")]
)
def test_a_context_picks_the_launcher(launcher: LauncherName, method: str) -> None:
    """
    By its start method, given by name or as an object.
    """
    for context in (method, multiprocessing.get_context(method)):
        assert launcher == starting.find_launcher(context, None, None).name


def test_those_who_say_zygote_have_one() -> None:
    """
    The name stands for one zygote, except with an environment, which a zygote is started in.
    """
    shared = starting.find_launcher(None, "zygote", None)
    assert shared is starting.find_launcher(None, "zygote", None)
    assert shared is not starting.find_launcher(None, "zygote", None, {"NAME": "value"})


def test_a_launcher_object_is_taken_as_it_is() -> None:
    """
    Anything that launches will do.
    """
    launcher = ZygoteLauncher()
    assert launcher is starting.find_launcher(None, launcher, None)


@pytest.mark.parametrize("method", ["spawn", "forkserver", "fork"])
def test_an_initializer_may_get_a_queue(method: str) -> None:
    """
    Objects of multiprocessing that can only be inherited are inherited.
    """
    context = multiprocessing.get_context(method)
    queue = context.SimpleQueue()
    with WebWorkerExecutor(
        1, mp_context=method, initializer=work.put_into, initargs=(queue,)
    ) as pool:
        pid = pool.submit(os.getpid).result(10.0)
    assert pid == queue.get()
    queue.close()


def test_a_queue_of_a_fork_context_forks_the_workers() -> None:
    """
    Also where nobody asked for a launcher: there is no other way to hand it over.
    """
    queue = multiprocessing.get_context("fork").SimpleQueue()
    with WebWorkerExecutor(1, initializer=work.put_into, initargs=(queue,)) as pool:
        pid = pool.submit(os.getpid).result(10.0)
    assert pid == queue.get()
    queue.close()


def test_an_initializer_that_raises_is_the_cause(launcher: LauncherName) -> None:
    """
    Every task fails with the initializer's own exception behind it, and so does the next submit.
    """
    with WebWorkerExecutor(
        1, launcher=launcher, initializer=work.refuse, initargs=("not today",)
    ) as pool:
        with pytest.raises(BrokenWorkerPool, match="the initializer of a worker raised") as caught:
            pool.submit(abs, 1).result(10.0)
        assert isinstance(caught.value.__cause__, ValueError)
        assert "not today" == str(caught.value.__cause__)
        with pytest.raises(BrokenWorkerPool) as caught:
            pool.submit(abs, 1)
        assert "not today" == str(caught.value.__cause__)


def test_initargs_that_cannot_be_packed_are_told_at_the_first_task() -> None:
    """
    To who submits it, since no worker can ever start.
    """
    pool = WebWorkerExecutor(1, initializer=work.keep, initargs=(work.Unpackable(),))
    with pytest.raises(ValueError, match="not to be packed"):
        pool.submit(abs, 1)
    pool.shutdown()


@pytest.mark.parametrize(
    ("make", "path"),
    [
        (lambda: {"worker_data": {"k": LOCK}}, 'worker_data["k"]'),
        (lambda: {"initializer": work.keep, "initargs": (1, [LOCK])}, "initargs[1][0]"),
        (with_a_lock_that_packs, "initargs[1]"),
        (lambda: {"initializer": partial(work.keep, LOCK)}, "initializer.args[0]"),
    ],
)
def test_a_note_names_the_option_that_cannot_be_packed(
    make: Callable[[], dict[str, Any]], path: str
) -> None:
    """
    Whoever submits has not written it there.
    """
    pool = WebWorkerExecutor(1, **make())
    for first_use in (lambda: pool.submit(abs, 1), lambda: pool.workers):
        with pytest.raises(TypeError, match=r"cannot pickle '_thread.lock' object") as caught:
            first_use()
        assert caught.value.__notes__[0].startswith(f"{path} cannot be sent. ")
    pool.shutdown()


def test_more_workers_than_there_can_be_processes() -> None:
    """
    They are refused at once: each has a place, and so many would not fit into memory.
    """
    with pytest.raises(ValueError, match=r"max_workers is 1000000000, and this kernel has at most"):
        WebWorkerExecutor(10**9)
    with WebWorkerExecutor(1) as pool, pytest.raises(ValueError, match="this kernel"):
        pool.resize(10**9)


def test_more_workers_where_the_kernel_does_not_tell(monkeypatch: pytest.MonkeyPatch) -> None:
    """
    Without /proc it is the most that any Linux has.
    """

    def refuse(*_: object, encoding: str) -> object:
        raise FileNotFoundError

    monkeypatch.setattr("builtins.open", refuse)
    assert 1 << 22 == starting.count_workers(1 << 22)
    with pytest.raises(ValueError, match="at most 4194304 processes"):
        starting.count_workers((1 << 22) + 1)


class SlowToPack:
    """Packs when it is told to."""

    def __init__(self) -> None:
        self.is_asked, self.may_go = threading.Event(), threading.Event()

    def __reduce__(self) -> Any:
        self.is_asked.set()
        assert self.may_go.wait(10.0)
        return int, ()


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore:This process .* is multi-threaded:DeprecationWarning")
def test_a_copy_that_is_forked_while_initargs_are_packed() -> None:
    """
    The thread that packs them is not in the copy, which packs them itself.
    """
    slow = SlowToPack()
    pool = WebWorkerExecutor(1, initializer=work.keep, initargs=(slow,))
    thread = threading.Thread(target=lambda: pool.submit(abs, -1).result(20.0))
    thread.start()
    assert slow.is_asked.wait(20)

    def use() -> object:
        slow.may_go = threading.Event()
        slow.may_go.set()
        with pool:
            return pool.submit(abs, -1).result(20.0) == 1

    assert 0 == fork_while_held([], use)
    slow.may_go.set()
    thread.join()
    pool.shutdown()


def keep(value: object) -> None:
    scope.worker_state["value"] = value


def write_into_both(place: int) -> int:
    """Mark a place in each of two buffers, and return the pid."""
    scope.worker_data["data"][place] = 1
    scope.worker_state["value"][place] = 1
    return os.getpid()


def test_each_worker_shares_what_it_is_born_with(launcher: LauncherName) -> None:
    """
    Also one that comes later: memory in the data and in initargs is the same for all.
    """
    data, value = SharedBuffer(2), SharedBuffer(2)
    with WebWorkerExecutor(
        1, launcher=launcher, initializer=keep, initargs=(value,), worker_data={"data": data}
    ) as pool:
        first = pool.submit(write_into_both, 0).result(10.0)
        assert pool.submit(os._exit, 1).exception(10.0) is not None
        assert first != pool.submit(write_into_both, 1).result(10.0)
    assert (b"\1\1", b"\1\1") == (bytes(data), bytes(value))


def wait_for_the_abort() -> object:
    assert scope.worker_data.wait(10.0)
    return scope.worker_data.reason


def inode_of_the_data() -> int:
    return os.fstat(scope.worker_data.fileno()).st_ino


def test_each_worker_has_duplicates(launcher: LauncherName) -> None:
    """
    Of descriptors, and of a signal that all hear.
    """
    reader, writer = map(FileDescriptor, os.pipe())
    with reader, writer, WebWorkerExecutor(2, launcher=launcher, worker_data=reader) as pool:
        found = set(pool.run_on_all(inode_of_the_data))
        assert {os.fstat(reader.fileno()).st_ino} == found
    controller = AbortController()
    with WebWorkerExecutor(2, launcher=launcher, worker_data=controller.signal) as pool:
        futures = [pool.submit(wait_for_the_abort) for _ in range(2)]
        controller.abort("enough")
        assert ["enough", "enough"] == [future.result(10.0) for future in futures]


@pytest.mark.parametrize("option", ["initargs", "worker_data"])
def test_what_one_alone_can_have_is_refused(option: str) -> None:
    """
    The error says so, and what was refused can still be used.
    """
    channel = MessageChannel()
    for value, text in ((channel.port1, "has one holder"), (proxy(abs), "executor has many")):
        options: dict[str, Any] = {"initializer": keep, "initargs": (value,)}
        if option == "worker_data":
            options = {"worker_data": value}
        with WebWorkerExecutor(1, **options) as pool, pytest.raises(DataCloneError, match=text):
            pool.submit(abs, 1)
    channel.port1.post_message("still here")
    assert "still here" == channel.port2.receive(10.0).data
    channel.port1.close()
    channel.port2.close()
