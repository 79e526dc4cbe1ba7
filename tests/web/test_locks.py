"""
Tests of `webworker_executor.web.locks`: one process has a lock while the others wait.

Source: Web Locks, and its web-platform tests (acquire, held, ifAvailable, mode-mixed, mode-shared,
signal, steal).
"""

from __future__ import annotations

import asyncio
import os
import pickle
import signal
import threading
from textwrap import dedent
from typing import TYPE_CHECKING, Any

import pytest

from tests.patience import wait_until
from tests.threads import struck
from webworker_executor import (
    AbortController,
    AbortError,
    AbortSignal,
    WebWorkerExecutor,
    WorkerCrashedError,
    locks,
    scope,
)
from webworker_executor.web import lock_broker
from webworker_executor.web.host import host

if TYPE_CHECKING:
    from pathlib import Path
    from types import FrameType

    from tests.script import ScriptRunner
    from webworker_executor import Lock
    from webworker_executor.web.launchers import LauncherName

LIMIT = 30.0


@pytest.fixture(autouse=True)
def brokers_end_soon(monkeypatch: pytest.MonkeyPatch) -> None:
    """Wait less for the threads of each test."""
    monkeypatch.setattr(lock_broker, "LINGER_SECONDS", 0.005)


def is_free(name: str) -> bool:
    """Whether somebody who asks now has the lock."""
    with locks.request(name, if_available=True) as lock:
        return lock is not None


def test_f14_one_has_it_and_the_others_wait() -> None:
    """It says what it is, and is free again at the end of the block."""
    with locks.request("x") as lock:
        assert ("x", "exclusive", False) == (lock.name, lock.mode, lock.is_stolen)
        assert "<Lock 'x' exclusive>" == repr(lock)
        assert not is_free("x")
        assert is_free("y")
    assert is_free("x")


def test_it_is_free_where_the_block_raises() -> None:
    """What was raised comes through."""
    with pytest.raises(ZeroDivisionError), locks.request("x"):
        raise ZeroDivisionError
    assert is_free("x")


def add(path: Path, count: int) -> None:
    """Add one to the number in a file, so many times."""
    for _ in range(count):
        with locks.request("file"):
            path.write_text(str(int(path.read_text()) + 1))


def test_f14_processes_take_turns(launcher: LauncherName, tmp_path: Path) -> None:
    """Nobody comes between the reading and the writing of another."""
    path = tmp_path / "number"
    path.write_text("0")
    with WebWorkerExecutor(3, launcher=launcher) as executor:
        futures = [executor.submit(add, path, 40) for _ in range(3)]
        add(path, 40)
        for future in futures:
            future.result(LIMIT)
    assert "160" == path.read_text()


def test_f14_they_have_it_in_the_order_of_asking() -> None:
    """Also one who wants it alone, while others share it."""
    order: list[int] = []
    threads = []

    def have(number: int) -> None:
        with locks.request("x", mode="exclusive" if number % 2 else "shared", timeout=LIMIT):
            order.append(number)

    with locks.request("x") as lock:
        broker = broker_of(lock)
        for number in range(6):
            threads.append(threading.Thread(target=have, args=[number]))
            threads[-1].start()
            wait_until(lambda: len(broker._table._waiting) == len(threads))
    for thread in threads:
        thread.join()
    assert list(range(6)) == order


def broker_of(_: Lock) -> Any:
    """Return this process's broker; for tests in which there is one."""
    (broker,) = (user for user in host._users if isinstance(user, lock_broker.LockBroker))
    return broker


def test_f14_those_who_share_it_have_it_at_once() -> None:
    """And nobody else."""
    with locks.request("x", mode="shared") as one, locks.request("x", mode="shared"):
        assert "shared" == one.mode
        assert not is_free("x")
    assert is_free("x")


def test_f14_if_available() -> None:
    """Whoever does not wait hears so at once."""
    with locks.request("x"), locks.request("x", if_available=True) as lock:
        assert lock is None
    with locks.request("x", if_available=True) as lock:
        assert lock is not None


@pytest.mark.parametrize("timeout", [-1, 0, 0.01])
def test_a_time_is_over(timeout: float) -> None:
    """Nothing stays in the queue."""
    late = pytest.raises(TimeoutError, match="the lock 'x' was not to be had in time")
    with locks.request("x"), late:
        locks.request("x", timeout=timeout).__enter__()
    with locks.request("x", timeout=timeout if timeout <= 0 else LIMIT):
        assert not is_free("x")


def test_f14_steal() -> None:
    """It is taken from whoever has it, who hears of that, at the end of the block at the latest."""
    request = locks.request("x")
    mine = request.__enter__()
    with locks.request("x", steal=True) as theirs:
        wait_until(lambda: mine.is_stolen)
        assert "<Lock 'x' exclusive stolen>" == repr(mine)
        assert not theirs.is_stolen
        assert not is_free("x")
    with pytest.raises(AbortError, match="the lock 'x' was stolen"):
        request.__exit__(None, None, None)
    assert is_free("x")


def test_what_the_block_raises_goes_before_the_theft() -> None:
    """An error hides no other."""
    with pytest.raises(ZeroDivisionError), locks.request("x"), locks.request("x", steal=True):
        raise ZeroDivisionError


@pytest.mark.parametrize("reason", [KeyError("enough"), None])
def test_f14_a_signal_ends_the_wait(reason: KeyError | None) -> None:
    """With its reason, whether it came before or meanwhile."""
    controller = AbortController()
    expected = KeyError if reason else AbortError
    with locks.request("x"):
        timer = threading.Timer(0.01, controller.abort, [reason])
        timer.start()
        for _ in range(2):
            with pytest.raises(expected):
                locks.request("x", signal=controller.signal).__enter__()
        timer.join()
    assert is_free("x")


def test_f14_a_signal_does_not_take_what_is_had() -> None:
    """It ends the wait alone."""
    controller = AbortController()
    with locks.request("x", signal=controller.signal):
        controller.abort()
        assert not is_free("x")


def test_an_abort_at_any_moment_ends_the_wait_or_does_nothing() -> None:
    """Whoever says that it has the lock has it."""
    for _ in range(200):
        controller = AbortController()
        thread = threading.Thread(target=controller.abort)
        request = locks.request("x", signal=controller.signal)
        thread.start()
        try:
            with request:
                thread.join()
                assert not is_free("x")
        except AbortError:
            thread.join()
        assert is_free("x")


def take_and_die(name: str) -> None:
    """Die with a lock."""
    locks.request(name).__enter__()
    os.kill(os.getpid(), signal.SIGKILL)


def test_f14_whoever_dies_has_let_go(launcher: LauncherName) -> None:
    """Also one who grants the lock to others."""
    with WebWorkerExecutor(1, launcher=launcher) as executor:
        for _ in range(2):
            with pytest.raises(WorkerCrashedError):
                executor.submit(take_and_die, "x").result(LIMIT)
            with locks.request("x", timeout=LIMIT):
                assert not executor.submit(is_free, "x").result(LIMIT)


def test_it_is_kept_while_whoever_grants_it_dies(run_script: ScriptRunner) -> None:
    """Nobody else has it before its holder has let go, who need not hear of the death."""
    ended = run_script(
        dedent("""\
        import os, signal
        from webworker_executor import WebWorkerExecutor, current_task, locks

        def grant():
            with locks.request("x"):
                current_task().post_message("granting")
                current_task().receive()
            current_task().receive()

        def is_free():
            with locks.request("x", if_available=True, timeout=0.3) as lock:
                return lock is not None

        with WebWorkerExecutor(2) as executor:
            granting = executor.submit(grant)
            granting.messages().receive(10)
            granting.post_message("let go")
            with locks.request("x", timeout=10):
                os.kill(granting.worker.pid, signal.SIGKILL)
                granting.exception(10)
                try:
                    print(executor.submit(is_free).result(10))
                except TimeoutError:
                    print("waits")
            print(executor.submit(is_free).result(10))
        """)
    )
    assert "waits\nTrue\n" == ended.stdout, ended.stderr


def test_a_forked_copy_does_not_keep_it(run_script: ScriptRunner) -> None:
    """A copy that lives on has neither the lock nor the place of who grants it."""
    ended = run_script(
        dedent("""\
        import os, signal
        from webworker_executor import locks

        with locks.request("x"):
            child = os.fork()
            if not child:
                signal.pause()
        try:
            with locks.request("x", timeout=5) as lock:
                print(lock)
        finally:
            os.kill(child, signal.SIGKILL)
            os.waitpid(child, 0)
        """)
    )
    assert "<Lock 'x' exclusive>\n" == ended.stdout, ended.stderr


def test_a_forked_copy_leaves_the_block_without_the_lock(run_script: ScriptRunner) -> None:
    """What it lets go of there is not the parent's."""
    ended = run_script(
        dedent("""\
        import os
        from webworker_executor import locks

        request = locks.request("x")
        with request:
            child = os.fork()
            if child:
                assert 0 == os.waitpid(child, 0)[1]
                with locks.request("x", if_available=True) as lock:
                    print("in the parent", lock)
        if not child:
            with locks.request("x", if_available=True) as lock:
                print("in the copy", lock, flush=True)
            os._exit(0)
        """)
    )
    assert "in the copy None\nin the parent None\n" == ended.stdout, ended.stderr


def test_f14_on_a_loop() -> None:
    """Whoever waits keeps no other coroutine from running."""

    async def take_turns() -> list[int]:
        order = []

        async def have(number: int) -> None:
            async with locks.request("x", timeout=LIMIT):
                order.append(number)
                await asyncio.sleep(0)
                order.append(number)

        await asyncio.gather(*map(have, range(50)))
        return order

    order = asyncio.run(take_turns())
    assert [number for number in range(50) for _ in range(2)] == sorted(order)
    assert order[::2] == order[1::2]


def test_on_a_loop_the_wait_ends_in_all_ways() -> None:
    """By a time-out, by a signal, by a refusal and by a cancel; nobody stays in the queue."""

    async def wait_in_vain() -> None:
        async with locks.request("x") as lock:
            with pytest.raises(TimeoutError, match="not to be had in time"):
                await locks.request("x", timeout=0.01).__aenter__()
            with pytest.raises(TimeoutError, match="not to be had in time"):
                await locks.request("x", timeout=0).__aenter__()
            with pytest.raises(TimeoutError, match=r"timed out after 0\.01 s"):
                await locks.request("x", signal=AbortSignal.timeout(0.01)).__aenter__()
            async with locks.request("x", if_available=True) as refused:
                assert refused is None
            broker = broker_of(lock)
            waiting = asyncio.ensure_future(locks.request("x").__aenter__())
            await asyncio.to_thread(wait_until, lambda: broker._table._waiting)
            waiting.cancel()
            with pytest.raises(asyncio.CancelledError):
                await waiting
            await asyncio.to_thread(wait_until, lambda: not broker._table._waiting)

    asyncio.run(wait_in_vain())
    assert is_free("x")


def test_a_request_is_for_one() -> None:
    """It can be made again, but not while it is under way."""
    request = locks.request("x")
    assert "<LockRequest 'x' exclusive>" == repr(request)
    for _ in range(2):
        with request:
            with pytest.raises(RuntimeError, match="is entered already"):
                request.__enter__()
            assert not is_free("x")
    assert is_free("x")


def test_what_is_wrong_is_said_at_once() -> None:
    """Before anybody waits."""
    anything: Any = locks
    with pytest.raises(ValueError, match="mode must be 'exclusive' or 'shared', not 'free'"):
        anything.request("x", mode="free")
    with pytest.raises(ValueError, match="leave out if_available and mode"):
        anything.request("x", steal=True, if_available=True)
    with pytest.raises(ValueError, match="leave out if_available and mode"):
        anything.request("x", steal=True, mode="shared")
    with pytest.raises(TypeError, match="signal must be an AbortSignal, not object"):
        anything.request("x", signal=object())
    with pytest.raises(TypeError, match="timeout must be a number of seconds"):
        anything.request("x", timeout="long")


def test_a_lock_is_not_sent() -> None:
    """A copy elsewhere would be none."""
    with locks.request("x") as lock, pytest.raises(TypeError, match="stays where it was granted"):
        pickle.dumps(lock)


def test_the_name_is_any_text() -> None:
    """What is no text is turned into it, as for a channel."""
    with locks.request(7), locks.request("\udc80" * 1000):
        assert not is_free("7")


def test_it_is_among_what_a_worker_has() -> None:
    """As on the web."""
    assert locks is scope.navigator.locks
    assert "<LockManager>" == repr(locks)


def test_a_handler_that_raises_leaves_no_lock() -> None:
    """Whoever was interrupted waits no longer, and has nothing."""

    def is_there(frame: FrameType | None) -> bool:
        while frame is not None and frame.f_code.co_qualname != "LockRequest.__enter__":
            frame = frame.f_back
        return frame is not None

    request = locks.request("x")
    with locks.request("x"), pytest.raises(InterruptedError), struck(InterruptedError, is_there):
        request.__enter__()
    assert is_free("x")
    with request:
        assert not is_free("x")
