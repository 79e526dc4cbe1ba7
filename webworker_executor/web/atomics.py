"""
Changes of shared numbers that nobody can come between, and waiting for them.

Not for more than one number at a time: that needs a lock of one's own, which can be built of these.
What a changer must know: between the load and the store of one number here, no call may stand. A
signal handler runs when a call returns, and may change the same number in the same thread, which
no lock keeps out.
"""

from __future__ import annotations

import errno
import functools
import math
import platform
import time
from typing import TYPE_CHECKING, Any

from webworker_executor.web.seconds import seconds_to_wait
from webworker_executor.web.shared import SharedBuffer, address_of, holder_of
from webworker_executor.wire.shown import shown

if TYPE_CHECKING:
    from collections.abc import Callable

# How wide a number of a format is, and whether it has a sign.
_FORMATS = {"i": (4, True), "I": (4, False), "q": (8, True), "Q": (8, False)}
_FORMATS |= {"l": (8, True), "L": (8, False)}
_SYSCALL_NUMBERS = {"x86_64": 202, "aarch64": 98, "riscv64": 98, "ppc64le": 221, "s390x": 238}
_FUTEX_WAIT, _FUTEX_WAKE = 0, 1
# futex(2) compares 32 bits; the other half of a 64-bit number is looked at again this often.
_SLICE_SECONDS = 0.05
_POLL_SECONDS = 0.002
_EVERYBODY = (1 << 31) - 1


class Atomics:
    """
    Operations on the numbers of a ``SharedBuffer``, atomic among all threads and processes.

    Each takes a view and an index. A view is a one-dimensional ``memoryview`` or array over a
    ``SharedBuffer``, of 32-bit or 64-bit integers (``memoryview(shared).cast("i")``, formats ``i I
    q Q``); a ``SharedBuffer`` itself stands for its numbers of format ``i``. Values wrap around as
    in C. They are atomic with each other; a plain assignment by somebody else is not. One that dies
    in the middle holds nobody up. What stands here holds for each:

    Args:
        view: The numbers.
        index: Which one, from 0.
        value: What it is combined with, or set to.
        expected: What it must be to be set.

    Raises:
        TypeError: The view is none of these, or its memory is not shared; a value is no integer.
        IndexError: There is no such number in the view.

    Source: ECMAScript, "The Atomics Object".
    """

    @staticmethod
    def load(view: Any, index: int) -> int:
        """Return a number."""
        return _Cell(view, index).load()

    @staticmethod
    def store(view: Any, index: int, value: int) -> int:
        """Set a number; return the value."""
        _Cell(view, index).exchange(value)
        return value

    @staticmethod
    def exchange(view: Any, index: int, value: int) -> int:
        """Set a number; return what it was."""
        return _Cell(view, index).exchange(value)

    @staticmethod
    def add(view: Any, index: int, value: int) -> int:
        """Add to a number; return what it was."""
        return _Cell(view, index).add(value)

    @staticmethod
    def sub(view: Any, index: int, value: int) -> int:
        """Subtract from a number; return what it was."""
        return _Cell(view, index).add(-value)

    @staticmethod
    def and_(view: Any, index: int, value: int) -> int:
        """Keep the bits of a number that are set in the value; return what it was."""
        return _Cell(view, index).and_(value)

    @staticmethod
    def or_(view: Any, index: int, value: int) -> int:
        """Set bits of a number; return what it was."""
        return _Cell(view, index).or_(value)

    @staticmethod
    def xor(view: Any, index: int, value: int) -> int:
        """Flip bits of a number; return what it was."""
        return _Cell(view, index).xor(value)

    @staticmethod
    def compare_exchange(view: Any, index: int, expected: int, value: int) -> int:
        """Set a number if it is as expected; return what it was."""
        return _Cell(view, index).compare_exchange(expected, value)

    @staticmethod
    def wait(view: Any, index: int, value: int, timeout: float | None = None) -> str:
        """
        Sleep until ``notify`` is called for a number, if the number is still ``value``.

        Args:
            view: The numbers.
            index: Which one.
            value: What it is as far as the caller knows.
            timeout: Seconds to sleep at most; ``None`` for ever.

        Returns:
            ``"ok"`` when notified, ``"not-equal"`` when the number is another, ``"timed-out"``. Of
            64 bits it is ``"ok"`` as well when the number has become another.

        Raises:
            TypeError: ``timeout`` is no number.
            ValueError: It is NaN.

        Source: ECMAScript, ``Atomics.wait``; futex(2).
        """
        return _Cell(view, index).wait(value, timeout)

    @staticmethod
    def notify(view: Any, index: int, count: int | None = None) -> int:
        """
        Wake those who wait for a number.

        Args:
            view: The numbers.
            index: Which one.
            count: How many to wake at most, 0 for nobody; ``None`` for all.

        Returns:
            How many were woken.

        Source: ECMAScript, ``Atomics.notify``; futex(2).
        """
        return _Cell(view, index).notify(_EVERYBODY if count is None else count)


class _Cell:
    """One number of a view."""

    def __init__(self, view: Any, index: int) -> None:
        numbers, buffer, start = _opened(view)
        if not 0 <= index < len(numbers):
            raise IndexError(f"there is no number {index} in a view of {len(numbers)}")
        width, is_signed = _FORMATS[numbers.format.lstrip("@=<")]
        self._numbers = numbers
        self._index = index
        self._guard = buffer._guarded()
        self._width = width
        self._address = start + index * width
        # What is added before and taken off after the modulus, so that the sign comes out right.
        self._bias = 1 << (8 * width - 1) if is_signed else 0
        self._mask = (1 << 8 * width) - 1

    def load(self) -> int:
        number: int = self._numbers[self._index]
        return number

    def exchange(self, value: int) -> int:
        numbers, index, bias, mask = self._numbers, self._index, self._bias, self._mask
        with self._guard.threads, self._guard:
            old: int = numbers[index]
            numbers[index] = ((value + bias) & mask) - bias
        return old

    def add(self, value: int) -> int:
        numbers, index, bias, mask = self._numbers, self._index, self._bias, self._mask
        with self._guard.threads, self._guard:
            old: int = numbers[index]
            numbers[index] = ((old + value + bias) & mask) - bias
        return old

    def and_(self, value: int) -> int:
        numbers, index, bias, mask = self._numbers, self._index, self._bias, self._mask
        with self._guard.threads, self._guard:
            old: int = numbers[index]
            numbers[index] = (((old & value) + bias) & mask) - bias
        return old

    def or_(self, value: int) -> int:
        numbers, index, bias, mask = self._numbers, self._index, self._bias, self._mask
        with self._guard.threads, self._guard:
            old: int = numbers[index]
            numbers[index] = (((old | value) + bias) & mask) - bias
        return old

    def xor(self, value: int) -> int:
        numbers, index, bias, mask = self._numbers, self._index, self._bias, self._mask
        with self._guard.threads, self._guard:
            old: int = numbers[index]
            numbers[index] = (((old ^ value) + bias) & mask) - bias
        return old

    def compare_exchange(self, expected: int, value: int) -> int:
        numbers, index, bias, mask = self._numbers, self._index, self._bias, self._mask
        expected = ((expected + bias) & mask) - bias
        with self._guard.threads, self._guard:
            old: int = numbers[index]
            if old == expected:
                numbers[index] = ((value + bias) & mask) - bias
        return old

    def wait(self, value: int, timeout: float | None) -> str:
        seconds = seconds_to_wait(timeout)
        deadline = math.inf if seconds is None else time.monotonic() + seconds
        value = ((value + self._bias) & self._mask) - self._bias
        if self.load() != value:
            return "not-equal"
        futex = _futex()
        while True:
            left = deadline - time.monotonic()
            if left <= 0:
                return "timed-out"
            if futex is None:
                time.sleep(min(left, _POLL_SECONDS))
                error = errno.ETIMEDOUT
            else:
                pause = left if self._width == 4 else min(left, _SLICE_SECONDS)
                error = futex(self._address, _FUTEX_WAIT, value & 0xFFFFFFFF, pause)[1]
                if error == errno.ETIMEDOUT and self._width == 4:
                    # It was looked at as a whole: nobody has notified, whatever it is by now.
                    return "timed-out"
            if error == 0:
                return "ok"
            # It was another before the kernel looked, or somebody changed the half that it does
            # not look at: whoever changes a number notifies, and that may just have been missed.
            if self.load() != value:
                return "ok" if error != errno.EAGAIN else "not-equal"

    def notify(self, count: int) -> int:
        futex = _futex()
        if futex is None or count <= 0:
            # The kernel would wake one for none.
            return 0
        # And one for what is negative in 32 bits.
        count = min(count, _EVERYBODY)
        return futex(self._address, _FUTEX_WAKE, count, math.inf)[0]


def _opened(view: Any) -> tuple[memoryview, SharedBuffer, int]:
    """Return the numbers of a view, the buffer that they lie in, and their address."""
    if isinstance(view, SharedBuffer):
        numbers = memoryview(view)[: len(view) // 4 * 4].cast("i")
        return numbers, view, address_of(view)
    numbers = memoryview(view)
    if numbers.ndim != 1 or not numbers.contiguous or numbers.format.lstrip("@=<") not in _FORMATS:
        raise TypeError(
            f"{shown(view)} is no view of 32-bit or 64-bit integers; make one by "
            'memoryview(shared).cast("i"), or "q"'
        )
    address = address_of(view)
    if address % numbers.itemsize:
        raise TypeError(f"the numbers of {shown(view)} do not stand at multiples of their size")
    return numbers, holder_of(address), address


@functools.cache
def _futex() -> Callable[[int, int, int, float], tuple[int, int]] | None:
    """Return a function that calls futex(2), or ``None`` where that cannot be called."""
    number = _SYSCALL_NUMBERS.get(platform.machine())
    if number is None:
        return None
    try:
        import ctypes
    except ImportError:
        return None

    class Timespec(ctypes.Structure):
        _fields_ = (("seconds", ctypes.c_long), ("nanoseconds", ctypes.c_long))

    syscall = ctypes.CDLL(None, use_errno=True).syscall

    def call(address: int, operation: int, value: int, seconds: float) -> tuple[int, int]:
        timespec = None
        if seconds < 1 << 32:
            fraction, whole = math.modf(seconds)
            timespec = ctypes.byref(Timespec(int(whole), int(fraction * 1e9)))
        result = syscall(
            *(ctypes.c_long(number), ctypes.c_void_p(address), ctypes.c_int(operation)),
            *(ctypes.c_uint32(value), timespec, None, ctypes.c_int(0)),
        )
        return result, ctypes.get_errno() if result < 0 else 0

    return call
