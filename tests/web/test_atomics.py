"""
Shared numbers: every change is whole, and who waits for one is woken.
"""

from __future__ import annotations

import threading
import time
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.patience import wait_until
from tests.threads import struck
from tests.web import sharing
from webworker_executor import Atomics, SharedBuffer, WebWorkerExecutor, WorkerCrashedError
from webworker_executor.web import atomics

if TYPE_CHECKING:
    from collections.abc import Iterator
    from types import FrameType

WIDTHS = {"i": 32, "I": 32, "q": 64, "Q": 64}


@pytest.fixture
def shared() -> Iterator[SharedBuffer]:
    """
    Make a buffer of 64 bytes.
    """
    with SharedBuffer(64) as buffer:
        yield buffer


def wrapped(value: int, form: str) -> int:
    """
    Say what a number is in a format.
    """
    width = WIDTHS[form]
    value %= 1 << width
    is_negative = form.islower() and value >> (width - 1)
    return value - (1 << width) if is_negative else value


@given(
    form=st.sampled_from(sorted(WIDTHS)),
    old=st.integers(-(1 << 70), 1 << 70),
    value=st.integers(-(1 << 70), 1 << 70),
)
def test_arithmetic_wraps_around(form: str, old: int, value: int) -> None:
    """
    Each operation returns what was, and leaves what C would leave.
    """
    changes: dict[Any, int] = {
        Atomics.add: old + value,
        Atomics.sub: old - value,
        Atomics.and_: old & value,
        Atomics.or_: old | value,
        Atomics.xor: old ^ value,
        Atomics.exchange: value,
    }
    with SharedBuffer(32) as shared, memoryview(shared) as whole, whole.cast(form) as view:  # type: ignore[call-overload]  # one of the formats
        for change, new in changes.items():
            Atomics.store(view, 1, old)
            assert wrapped(old, form) == change(view, 1, value)
            assert wrapped(new, form) == Atomics.load(view, 1)
        assert 0 == view[0] == view[2]


def test_store_returns_the_value(shared: SharedBuffer) -> None:
    """
    As ECMAScript has it, the value as given.
    """
    assert 1 << 40 == Atomics.store(shared, 0, 1 << 40)
    assert 0 == Atomics.load(shared, 0)


def test_compare_exchange(shared: SharedBuffer) -> None:
    """
    It changes what is as expected, and nothing else.
    """
    assert 0 == Atomics.compare_exchange(shared, 0, 1, 5)
    assert 0 == Atomics.compare_exchange(shared, 0, 0, -5)
    assert -5 == Atomics.compare_exchange(shared, 0, (1 << 32) - 5, 6)
    assert 6 == Atomics.load(shared, 0)


@pytest.mark.parametrize("index", [-1, 16])
def test_an_index_outside(shared: SharedBuffer, index: int) -> None:
    """
    There is no number before the first or behind the last.
    """
    with pytest.raises(IndexError, match="16"):
        Atomics.load(shared, index)


def test_a_view_of_something_else(shared: SharedBuffer) -> None:
    """
    Bytes, floats, slices with gaps, and memory that is not shared are refused.
    """
    with memoryview(shared) as whole:
        foreign = memoryview(bytearray(8))
        for view in (whole[:], whole.cast("d"), whole.cast("i")[::2], foreign.cast("i")):
            with view, pytest.raises(TypeError):
                Atomics.load(view, 0)
        with whole[4:] as rest, rest.cast("i") as later:
            Atomics.store(later, 0, 3)
            assert 3 == Atomics.load(shared, 1)
        crooked = whole[1:-3].cast("i")
        with crooked, pytest.raises(TypeError, match="multiples"):
            Atomics.load(crooked, 0)


def test_an_array_of_numpy(shared: SharedBuffer) -> None:
    """
    An array of integers over the memory is a view.
    """
    numpy = pytest.importorskip("numpy")
    array = numpy.frombuffer(shared, numpy.int64)
    Atomics.add(array, 2, 5)
    assert 5 == array[2]
    del array


@pytest.mark.parametrize("form", ["i", "q"])
def test_nothing_is_lost_among_processes_and_threads(shared: SharedBuffer, form: str) -> None:
    """
    Two workers and two threads count together, and the sum is right.
    """
    with WebWorkerExecutor(2, launcher="fork") as pool:
        futures = [pool.submit(sharing.count, shared, 300, form) for _ in range(2)]
        threads = [
            threading.Thread(target=sharing.count, args=(shared, 300, form)) for _ in range(2)
        ]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        for future in futures:
            future.result(20.0)
    with memoryview(shared) as whole, whole.cast(form) as view:  # type: ignore[call-overload]  # one of the formats
        assert 4 * 300 == Atomics.load(view, 1)


def test_who_dies_in_the_middle_holds_nobody_up(shared: SharedBuffer) -> None:
    """
    The lock of a dead worker is open.
    """
    with WebWorkerExecutor(1, launcher="fork") as pool, pytest.raises(WorkerCrashedError):
        pool.submit(sharing.die_holding, shared).result(20.0)
    assert 0 == Atomics.add(shared, 0, 1)


def test_waiting_for_what_is_no_more(shared: SharedBuffer) -> None:
    """
    A number that is another already is not waited for, and time runs out.
    """
    assert "not-equal" == Atomics.wait(shared, 0, 1, sharing.LIMIT)
    assert "timed-out" == Atomics.wait(shared, 0, 0, 0.01)
    assert "timed-out" == Atomics.wait(shared, 0, 0, 0)
    assert 0 == Atomics.notify(shared, 0)


def test_who_waits_is_woken(shared: SharedBuffer) -> None:
    """
    A worker that sleeps is woken, as many as were asked for, and only at that number.
    """
    with WebWorkerExecutor(2, launcher="fork") as pool:
        futures = [pool.submit(sharing.sleep, shared, 3) for _ in range(2)]
        wait_until(lambda: Atomics.load(shared, 0) == 2)
        assert 0 == Atomics.notify(shared, 4)
        n_woken = 0
        deadline = time.monotonic() + sharing.LIMIT
        while n_woken < 2 and time.monotonic() < deadline:
            n_woken += Atomics.notify(shared, 3, 1)
        assert 2 == n_woken
        assert ["ok", "ok"] == [future.result(20.0) for future in futures]


def test_how_many_are_woken(shared: SharedBuffer) -> None:
    """
    For none nobody is, and all are for any number that is large enough.
    """
    is_over = threading.Event()

    def sleep_again_and_again() -> None:
        while not is_over.is_set():
            Atomics.wait(shared, 0, 0, sharing.LIMIT)

    threads = [threading.Thread(target=sleep_again_and_again) for _ in range(2)]
    for thread in threads:
        thread.start()
    try:
        for count in (2, 1 << 31, 1 << 32, (1 << 64) + 1, None):
            for _ in range(3):
                n_woken = 0
                while n_woken < 2:
                    # Who sleeps at the one call most likely slept at the other.
                    n_for_none = [Atomics.notify(shared, 0, none) for none in (0, -1)]
                    n_woken = Atomics.notify(shared, 0, count)
                    assert [0, 0] == n_for_none
    finally:
        is_over.set()
        while any(thread.is_alive() for thread in threads):
            Atomics.notify(shared, 0)


def test_a_change_by_itself_wakes_nobody(
    shared: SharedBuffer, monkeypatch: pytest.MonkeyPatch
) -> None:
    """
    Who was not notified is told that his time is over.
    """
    futex = atomics._futex()
    assert futex is not None

    def sleep(*args: Any) -> tuple[int, int]:
        result = futex(*args)
        Atomics.store(shared, 0, 1)
        return result

    monkeypatch.setattr(atomics, "_futex", lambda: sleep)
    clock = iter([0.0, 0.0, 1.0])
    monkeypatch.setattr(atomics, "time", SimpleNamespace(monotonic=lambda: next(clock)))
    assert "timed-out" == Atomics.wait(shared, 0, 0, 0.01)
    assert 1 == Atomics.load(shared, 0)


@pytest.mark.parametrize("has_futex", [True, False])
def test_a_wide_number_is_waited_for(
    shared: SharedBuffer, has_futex: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    """
    Also a change of the upper half alone is noticed; and where there is no futex, any change is.
    """
    is_waiting = threading.Event()
    futex = atomics._futex() if has_futex else None

    def futex_of_who_waits() -> Any:
        # Whoever asks for it has seen that the number is the one to wait at.
        is_waiting.set()
        return futex

    monkeypatch.setattr(atomics, "_futex", futex_of_who_waits)

    def change() -> None:
        assert is_waiting.wait(sharing.LIMIT)
        Atomics.store(view, 1, 1 << 40)

    with memoryview(shared) as whole, whole.cast("q") as view:
        thread = threading.Thread(target=change)
        thread.start()
        assert "ok" == Atomics.wait(view, 1, 0, sharing.LIMIT)
        thread.join()
        assert Atomics.notify(view, 1) == 0


def test_a_signal_ends_the_waiting(shared: SharedBuffer) -> None:
    """
    A handler that raises is heard while its thread waits, and the number can be changed after it.
    """

    def is_in_the_wait(frame: FrameType | None) -> bool:
        return frame is not None and frame.f_code.co_filename == atomics.__file__

    with (
        pytest.raises(InterruptedError, match="from the handler"),
        struck(InterruptedError, is_in_the_wait),
    ):
        Atomics.wait(shared, 0, 0, sharing.LIMIT)
    assert 0 == Atomics.add(shared, 0, 1)
