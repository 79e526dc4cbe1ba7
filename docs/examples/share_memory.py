"""
Let all workers change one picture in place, count in one number, and begin at one moment.
"""

from webworker_executor import Atomics, SharedBuffer, WebWorkerExecutor

NBYTES, PART = 1_000_000, 250_000
DONE, GATE = 0, 1  # The numbers that all share.


def invert(picture: SharedBuffer, numbers: SharedBuffer, first: int) -> str:
    """Change a part of the picture, when the gate is open. Only a word goes back."""
    opened = Atomics.wait(numbers, GATE, 0, timeout=30)
    try:
        import numpy
    except ImportError:
        with memoryview(picture)[first : first + PART] as view:
            view[:] = bytes(255 - value for value in view)
    else:
        pixels = numpy.frombuffer(picture, numpy.uint8, PART, first)
        numpy.subtract(255, pixels, out=pixels)
    Atomics.add(numbers, DONE, 1)
    Atomics.notify(numbers, DONE)
    return opened


with WebWorkerExecutor(max_workers=2) as executor:
    picture, numbers = SharedBuffer(NBYTES), SharedBuffer(8)
    futures = [executor.submit(invert, picture, numbers, first) for first in range(0, NBYTES, PART)]
    print("before:", picture[0], picture[-1])

    # Nobody has begun, and everybody may now.
    Atomics.store(numbers, GATE, 1)
    Atomics.notify(numbers, GATE)

    # Without the futures: sleep until the number has changed.
    while (n_done := Atomics.load(numbers, DONE)) < len(futures):
        Atomics.wait(numbers, DONE, n_done, timeout=30)
    print("after:", picture[0], picture[-1], "by", n_done, "tasks")
    print("all went well:", {future.result() for future in futures} <= {"ok", "not-equal"})
