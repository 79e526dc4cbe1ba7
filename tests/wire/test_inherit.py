"""
Locks, queues and shared memory reach a process that was started as a new program.
"""

from __future__ import annotations

import contextlib
import gc
import importlib
import multiprocessing
import subprocess
import sys
from multiprocessing import context, resource_tracker, shared_memory
from typing import TYPE_CHECKING, Any

import pytest

from tests.script import PACKAGE_ROOT
from webworker_executor.wire import codec, inherit

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

PROGRAM = f"""
import sys
sys.path.insert(0, {str(PACKAGE_ROOT)!r})
from webworker_executor.wire.inherit import unpack_inheritable
fds = [int(fd) for fd in sys.argv[1:]]
initializer, arguments = unpack_inheritable(sys.stdin.buffer.read(), fds)
initializer(*arguments)
"""

# The heap of shared values keeps its first arena for as long as the process lasts.
ARENA = multiprocessing.get_context("spawn").RawArray("i", 1)


@pytest.fixture(autouse=True)
def no_tracker_is_left() -> Iterator[None]:
    """
    End the resource tracker that whoever came before, or the test itself, has started.
    """
    end_tracker()
    yield
    end_tracker()


def end_tracker() -> None:
    tracker: Any = resource_tracker._resource_tracker
    # A semaphore unlinks its name when it goes, and then tells the tracker so.
    gc.collect()
    if tracker._fd is not None:
        tracker._stop()


def initialize(initializer: Callable[..., object], *arguments: object) -> None:
    """
    Pack a call, and make it in a new interpreter; nothing may be written to its stderr.
    """
    payload, fds = inherit.pack_inheritable((initializer, arguments))
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM, *map(str, fds)],
        input=payload,
        pass_fds=fds,
        capture_output=True,
        timeout=30.0,
        check=False,
    )
    assert (0, b"") == (done.returncode, done.stderr)


def write_into(array: Any) -> None:
    array += 1


@pytest.mark.parametrize("initializer", [write_into, lambda array: array.fill(0)])
def test_an_array_can_be_written_to(initializer: Callable[..., object]) -> None:
    """
    Also where the program's own cannot, and whichever pickler packs it.
    """
    array = pytest.importorskip("numpy").ones(3)
    array.flags.writeable = False
    payload, _ = inherit.pack_inheritable((initializer, (array,)))
    pair: Any = inherit.unpack_inheritable(payload, [])
    ((came,),) = pair[1:]
    came += 1
    assert [2.0] * 3 == came.tolist()


def use_queue(queue: Any) -> None:
    queue.put(queue.get(timeout=10.0) + 1)


@pytest.mark.slow
@pytest.mark.parametrize("method", ["spawn", "forkserver"])
@pytest.mark.parametrize("kind", ["Queue", "JoinableQueue"])
def test_a_queue_works(method: str, kind: str) -> None:
    """
    A queue of a spawn or forkserver context works in both directions.
    """
    queue = getattr(multiprocessing.get_context(method), kind)()
    queue.put(1)
    initialize(use_queue, queue)
    assert 2 == queue.get(timeout=10.0)
    queue.close()
    queue.join_thread()
    queue._reader.close()


def use_simple_queue(queue: Any) -> None:
    queue.put(queue.get() + 1)


@pytest.mark.slow
def test_a_simple_queue_works() -> None:
    """
    A SimpleQueue works in both directions.
    """
    queue: Any = multiprocessing.get_context("spawn").SimpleQueue()
    with contextlib.closing(queue):
        queue.put(1)
        initialize(use_simple_queue, queue)
        assert 2 == queue.get()


def use_primitives(lock: Any, recursive: Any, event: Any, semaphore: Any, condition: Any) -> None:
    assert not lock.acquire(block=False)
    assert not recursive.acquire(block=False)
    event.set()
    semaphore.release()
    with condition:
        condition.notify_all()


@pytest.mark.slow
def test_primitives_are_shared() -> None:
    """
    A lock that is held here is held there, and an event that is set there is set here.
    """
    spawn = multiprocessing.get_context("spawn")
    event, semaphore = spawn.Event(), spawn.Semaphore(0)
    with spawn.Lock() as _, spawn.RLock() as _:
        pass
    lock, recursive = spawn.Lock(), spawn.RLock()
    with lock, recursive:
        initialize(use_primitives, lock, recursive, event, semaphore, spawn.Condition())
    assert event.is_set()
    assert semaphore.acquire(timeout=10.0)


def use_memory(value: Any, array: Any, raw: Any) -> None:
    with value.get_lock():
        value.value += 1
    array[2] = 7.5
    raw[0] = 9


@pytest.mark.slow
def test_shared_values_are_shared() -> None:
    """
    Value, Array and RawArray are the same memory in both processes.
    """
    spawn = multiprocessing.get_context("spawn")
    value, array, raw = spawn.Value("i", 41), spawn.Array("d", 3), spawn.RawArray("i", 1)
    initialize(use_memory, value, array, raw)
    assert (42, 7.5, 9) == (value.value, array[2], raw[0])


def use_connection(connection: Any) -> None:
    connection.send(connection.recv() * 2)


@pytest.mark.slow
def test_a_pipe_works() -> None:
    """
    A connection works, and its copy does not depend on this process's own.
    """
    near, far = multiprocessing.Pipe()
    with near:
        with far:
            near.send(21)
            initialize(use_connection, far)
        assert near.poll(10.0)
        assert 42 == near.recv()


def use_proxy(proxy: Any) -> None:
    proxy["there"] = True


@pytest.mark.slow
def test_a_manager_proxy_works() -> None:
    """
    A proxy is let in by its manager, which asks for this process's key.
    """
    with multiprocessing.get_context("spawn").Manager() as manager:
        proxy = manager.dict()
        initialize(use_proxy, proxy)
        assert {"there": True} == dict(proxy)


def attach(name: str, lock: object) -> None:
    block = shared_memory.SharedMemory(name)
    assert block.buf is not None
    block.buf[0] = 5
    block.close()


@pytest.mark.slow
def test_the_resource_tracker_is_shared() -> None:
    """
    Shared memory that the other process attached to is still there when that process has ended.
    """
    block = shared_memory.SharedMemory(create=True, size=16)
    try:
        initialize(attach, block.name, multiprocessing.get_context("spawn").Lock())
        again = shared_memory.SharedMemory(block.name)
        assert again.buf is not None
        assert 5 == again.buf[0]
        again.close()
    finally:
        block.close()
        block.unlink()


@pytest.mark.slow
def test_lambdas_may_hold_them() -> None:
    """
    What goes by value may hold a queue; the first attempt's descriptors are not sent.
    """
    queue: Any = multiprocessing.get_context("spawn").SimpleQueue()
    with contextlib.closing(queue):
        initialize(lambda: queue.put("from a lambda"))
        assert "from a lambda" == queue.get()


@pytest.mark.parametrize("kind", ["Lock", "RLock", "Event", "Condition", "Semaphore", "Queue"])
def test_fork_context_is_refused(kind: str) -> None:
    """
    An object of the fork context is refused by an error that says what to do.
    """
    thing = getattr(multiprocessing.get_context("fork"), kind)()
    with pytest.raises(inherit.ForkInheritanceOnly, match=r"get_context\('spawn'\), or use launch"):
        inherit.pack_inheritable(thing)
    with pytest.raises(inherit.ForkInheritanceOnly):
        inherit.pack_inheritable((lambda: 0, thing))
    if kind == "Queue":
        thing.close()
        thing._reader.close()
        thing._writer.close()


def test_a_forked_arena_is_refused() -> None:
    """
    Shared memory without a descriptor, as Pythons before 3.5 made it, is refused likewise.
    """
    array: Any = multiprocessing.get_context("fork").RawArray("i", 1)
    arena = array._wrapper._state[0][0]
    fd, arena.fd = arena.fd, -1
    try:
        with pytest.raises(inherit.ForkInheritanceOnly, match=r"^Shared memory"):
            inherit.pack_inheritable(array)
    finally:
        arena.fd = fd


def test_other_errors_are_the_picklers() -> None:
    """
    What no pickler takes raises the pickler's error.
    """
    near, far = multiprocessing.Pipe()
    with near, far, pytest.raises(TypeError, match="cannot pickle"):
        inherit.pack_inheritable((near, sys._getframe()))
    assert context.get_spawning_popen() is None


def test_plain_values_need_no_descriptors() -> None:
    """
    Values that hold nothing to inherit come back equal, with no descriptors.
    """
    payload, fds = inherit.pack_inheritable((len, [1, "a"]))
    assert [] == fds
    assert (len, [1, "a"]) == inherit.unpack_inheritable(payload, fds)


def test_a_descriptor_is_only_had_while_unpacking() -> None:
    """
    A stand-in that was kept says that it is too late.
    """
    with pytest.raises(RuntimeError, match="after its message had been unpacked"):
        inherit.InheritedFd(0).detach()


STARTS_AT_IMPORT = """
from webworker_executor.wire import inherit

class Config:
    def __len__(self): return 3

payload, fds = inherit.pack_inheritable((id, (Config(),)))
"""


def test_what_is_given_in_a_module_that_is_being_imported_goes_by_value(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """
    A new process would import the module, which starts it, and so on without an end.
    """
    (tmp_path / "starts_at_import.py").write_text(STARTS_AT_IMPORT)
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.setattr(codec, "half_imported", set())
    importing = importlib.import_module("starts_at_import")
    del sys.modules["starts_at_import"]
    unpacked: Any = inherit.unpack_inheritable(importing.payload, importing.fds)
    assert "starts_at_import" not in sys.modules
    initializer, (config,) = unpacked
    assert (id, 3) == (initializer, len(config))
