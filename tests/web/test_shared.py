"""
Memory that is shared: a new object over the same bytes, wherever it is sent.
"""

from __future__ import annotations

import errno
import fcntl
import gc
import mmap
import os
import pickle
import resource
import signal
import threading
from typing import TYPE_CHECKING, Any

import pytest

from tests.link.inbox import Inbox
from tests.web import sharing
from webworker_executor import WebWorkerExecutor
from webworker_executor.errors import DataCloneError
from webworker_executor.web import shared
from webworker_executor.web.shared import (
    SharedBuffer,
    _Guard,
    address_of,
    holder_of,
    is_over_shared,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator


@pytest.fixture
def pool() -> Iterator[WebWorkerExecutor]:
    """
    Make a pool of one worker.
    """
    with WebWorkerExecutor(1) as executor:
        yield executor


def test_it_is_zeroed_memory() -> None:
    """
    A new buffer is as large as asked for, writable, and zero.
    """
    with SharedBuffer(10_000) as shared:
        assert 10_000 == shared.nbytes == len(shared)
        with memoryview(shared) as view:
            assert bytes(10_000) == view
            view[3] = 7
        assert 7 == shared[3]
        assert "<SharedBuffer 10000 B>" == repr(shared)
    assert "<SharedBuffer closed>" == repr(shared)


@pytest.mark.parametrize("nbytes", [0, -1])
def test_nothing_cannot_be_shared(nbytes: int) -> None:
    """
    A size below one is a ValueError that says so.
    """
    with pytest.raises(ValueError, match=f"a SharedBuffer of {nbytes} bytes"):
        SharedBuffer(nbytes)


def test_a_copy_writes_into_the_same_memory(pool: WebWorkerExecutor) -> None:
    """
    As argument and as result it stays the same memory and becomes another object.
    """
    with SharedBuffer(100) as shared:
        back = pool.submit(sharing.write, shared, 5, 42).result(20.0)
        assert back is not shared
        assert 42 == shared[5] == back[5]
        back[6] = 43
        assert 43 == shared[6]
        assert 43 == pool.submit(sharing.read, shared, 6).result(20.0)
        back.close()


def test_twice_in_a_message_is_once(pool: WebWorkerExecutor) -> None:
    """
    Two references in one value are two references to one object there.
    """
    with SharedBuffer(100) as shared:
        assert pool.submit(sharing.is_same, shared, [shared]).result(20.0)


def test_it_outlives_whoever_made_it(pool: WebWorkerExecutor) -> None:
    """
    One that a worker made is there when the worker is gone.
    """
    made = pool.submit(sharing.make, 9).result(20.0)
    pid = pool.submit(os.getpid).result(20.0)
    os.kill(pid, signal.SIGKILL)
    assert pid != pool.submit(os.getpid).result(20.0)
    assert 9 == made[0]
    made.close()


def test_it_does_not_go_where_no_descriptor_goes() -> None:
    """
    A plain pickle refuses it, and so does a message once it is closed.
    """
    shared = SharedBuffer(10)
    with pytest.raises(pickle.PicklingError, match="goes in a message"):
        pickle.dumps(shared)
    shared.close()
    with WebWorkerExecutor(1, launcher="fork") as pool, pytest.raises(DataCloneError):
        pool.submit(sharing.read, shared, 0).result(20.0)


def test_it_leaves_nothing_behind() -> None:
    """
    Dropped without a close, it gives back descriptor and memory.
    """
    before = len(os.listdir("/proc/self/fd"))
    for _ in range(50):
        SharedBuffer(1 << 16)[0] = 1
    gc.collect()
    assert before == len(os.listdir("/proc/self/fd"))


def test_a_view_keeps_it_open() -> None:
    """
    To close it while a view of it is in use is a BufferError, and it stays as it was.
    """
    shared = SharedBuffer(10)
    view = memoryview(shared)
    with pytest.raises(BufferError):
        shared.close()
    view[0] = 1
    view.release()
    shared.close()


def test_a_fork_shares_it() -> None:
    """
    A forked copy of the program writes into the same memory.
    """
    with SharedBuffer(10) as shared:
        pid = os.fork()
        if pid == 0:
            shared[0] = 5
            os._exit(0)
        os.waitpid(pid, 0)
        assert 5 == shared[0]


def test_its_size_is_fixed() -> None:
    """
    Nobody can make it smaller, so that no access can be answered by a signal.
    """
    with SharedBuffer(1 << 16) as shared, pytest.raises(OSError, match="not permitted"):
        os.ftruncate(shared._fd.fileno(), 0)


def test_too_much_memory_is_an_error() -> None:
    """
    Where a file must not be so large the making fails, and leaves nothing.
    """
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    before = len(os.listdir("/proc/self/fd"))
    resource.setrlimit(resource.RLIMIT_FSIZE, (1 << 16, hard))
    try:
        with pytest.raises(OSError, match="large"):
            SharedBuffer(1 << 20)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    assert before == len(os.listdir("/proc/self/fd"))


@pytest.mark.parametrize("nbytes", [1 << 40, 1 << 60, 1 << 70])
def test_more_than_there_is_is_not_tried(nbytes: int) -> None:
    """
    The kernel gives page after page until there is none, and kills whoever it likes then.
    """
    before = os.listdir("/proc/self/fd")
    with pytest.raises(OSError, match=f"{nbytes} bytes cannot be made where") as caught:
        SharedBuffer(nbytes)
    assert errno.ENOMEM == caught.value.errno
    assert before == os.listdir("/proc/self/fd")


def test_numpy_looks_at_the_memory_itself() -> None:
    """
    An array made of it is a view.
    """
    numpy = pytest.importorskip("numpy")
    shared = SharedBuffer(80)
    array: Any = numpy.frombuffer(shared, numpy.float64)
    array[1] = 2.5
    assert 2.5 == memoryview(shared).cast("d")[1]


def test_who_holds_the_lock_keeps_threads_out() -> None:
    """
    While one thread is in, another waits, and comes in afterwards.
    """
    with SharedBuffer(8) as shared:
        guard = shared._guarded()
        is_shut, came = Inbox[bool](), threading.Event()

        def come() -> None:
            is_shut(not guard.threads.acquire(blocking=False))
            with guard.threads, guard:
                came.set()

        with guard.threads, guard:
            with guard.threads, guard:
                # Reentrant: what is done within does not open the door.
                pass
            thread = threading.Thread(target=come)
            thread.start()
            assert is_shut.get()
            assert not came.is_set()
        thread.join()
        assert came.is_set()


def test_who_comes_in_a_signal_handler_locks_as_well(monkeypatch: pytest.MonkeyPatch) -> None:
    """
    The call that it came into may be waiting for the lock yet; the outermost unlocks.
    """
    asked: list[int] = []
    with SharedBuffer(8) as shared:
        guard = _Guard(shared._fd)
        monkeypatch.setattr(guard, "_control", asked.append)
        with guard, guard:
            assert [fcntl.F_WRLCK, fcntl.F_WRLCK] == asked
        assert [fcntl.F_UNLCK] == asked[2:]


def test_foreign_memory_has_no_holder() -> None:
    """
    An address outside every buffer is a TypeError.
    """
    with pytest.raises(TypeError, match="not shared"):
        holder_of(16)


def test_what_stands_on_it_is_found_out() -> None:
    """Views, and views of views; not the memory of others, nor a view that was released."""
    with SharedBuffer(8) as shared:
        with memoryview(shared) as view, view[2:].cast("H") as part:
            assert [True] * 3 == [is_over_shared(item) for item in (shared, view, part)]
        others: list[object] = [view, bytearray(8), memoryview(b"x"), mmap.mmap(-1, 1), 3, None]
        assert [False] * 6 == [is_over_shared(item) for item in others]


def test_many_buffers_are_looked_through_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """
    Not for each number that somebody changes: only when there is another buffer.
    """
    looks: list[object] = []

    def look(buffer: Any) -> int:
        looks.append(buffer)
        return address_of(buffer)

    monkeypatch.setattr(shared, "address_of", look)
    many = [SharedBuffer(5000) for _ in range(20)]
    for buffer in many:
        start = address_of(buffer)
        assert buffer is holder_of(start) is holder_of(start + 100) is holder_of(start + 4999)
    assert [1] * len(many) == [looks.count(buffer) for buffer in many]
    looks.clear()


def test_a_buffer_that_is_gone_holds_nothing() -> None:
    """
    Closed or collected, also when another one, or other memory, has come to its place.
    """
    ends: list[Callable[[list[SharedBuffer]], object]] = [
        lambda held: held[0].close(),
        lambda held: held.clear(),
    ]
    for end in ends:
        held = [SharedBuffer(5000)]
        start = address_of(held[0])
        assert held[0] is holder_of(start)
        end(held)
        gc.collect()
        with pytest.raises(TypeError, match="not shared"):
            holder_of(start)
        with mmap.mmap(-1, 5000) as other, pytest.raises(TypeError, match="not shared"):
            holder_of(address_of(other))
        fresh = SharedBuffer(5000)
        assert fresh is holder_of(address_of(fresh))


@pytest.mark.parametrize("nbytes", ["a", b"abc", 1.5, None])
def test_what_is_no_size(nbytes: Any) -> None:
    """
    Data is told from the number of its bytes.
    """
    with pytest.raises(TypeError, match=r"a SharedBuffer has a whole number of bytes, not "):
        SharedBuffer(nbytes)
