"""
Decide how many calls of a map make one task.

For: sizes, from what was measured. Not for: items, futures or clocks.
A changer must know: nothing is believed of items that have not run. A size is at most `GROWTH`
times one that was measured, and at most a third of each worker's share of what is left, so that a
map whose costs change on the way still ends on all workers at about the same time. But what takes
less than a task's own cost to run is not cut to be even: 20,000 quick items ended in 20 rounds of
ever smaller chunks, which took three times as long as all the work. And on a busy machine anything
takes long once: what would end the growth is measured twice, and the better reading counts. Without
that, a map of 20,000 items came to chunks of 1 to 4 whenever the first answer was late, and ran at
15,000 items/s instead of a million.
"""

from __future__ import annotations

__all__ = ["Chunks"]

# So much work makes a task's own cost small (100 us of all processors where somebody waits for each
# in turn: of two cores, 800 tasks of 1 ms got 90 % with 2 ms here, and get 95 %); more would make
# its end late.
TARGET_SECONDS = 0.005
# So little work is not worth cutting once more for an even end.
LEAST_SECONDS = 0.0002
# So long a chunk may take from end to end: its transfer, too.
MOST_SECONDS = 0.020
# Each size on the way there costs a wait for an answer, 300 us: with 8 there were four, and 20,000
# quick items took 6.3 ms, with 64 there are two, and they take 5.1. That all workers end together
# is seen to by the shares.
GROWTH = 64
SHARES = 3


class Chunks:
    """
    Be the sizes of one map's chunks.

    Args:
        n_workers: How many run them side by side.

    Source: guided self-scheduling (Polychronopoulos and Kuck, 1987).
    """

    __slots__ = ("_doubted", "_is_settled", "_least", "_most", "_n_workers")

    def __init__(self, n_workers: int) -> None:
        self._n_workers = n_workers
        self._least = self._most = 1
        # A size that one reading asked for, while the second is awaited.
        self._doubted: int | None = None
        self._is_settled = False

    def size(self, n_left: int) -> int:
        """
        Choose the size of the next chunk.

        Args:
            n_left: How many items are left, at least 1.

        Returns:
            1 to `n_left`.
        """
        return min(self._most, max(self._least, self._share(n_left)), n_left)

    def is_measuring(self, n_left: int) -> bool:
        """
        Tell whether the time of the next chunk may change the sizes after it.

        Args:
            n_left: How many items are left.
        """
        return not self._is_settled and self._most < self._share(n_left)

    def _share(self, n_left: int) -> int:
        return -(-n_left // (SHARES * self._n_workers))

    def measured(self, n_items: int, work_seconds: float, seconds: float) -> None:
        """
        Take note of a chunk that is done.

        Args:
            n_items: Its size.
            work_seconds: How long the worker ran it.
            seconds: How long it took from end to end.
        """
        largest = GROWTH * n_items
        self._least = max(1, int(LEAST_SECONDS * n_items / max(work_seconds, 1e-9)))
        by_work = int(TARGET_SECONDS * n_items / max(work_seconds, 1e-9))
        # What was quick enough as a whole tells nothing of a larger chunk: most of it is the way.
        by_time = largest if seconds <= MOST_SECONDS else int(MOST_SECONDS * n_items / seconds)
        most = max(1, min(by_work, by_time, largest))
        if most < largest and self._doubted is None:
            self._doubted = most
            self._most = n_items
            return
        self._most = max(most, self._doubted or 1)
        self._doubted = None
        self._is_settled = self._most < largest

    def unmeasured(self) -> None:
        """
        Take note that no answer came in good time: sizes stay as they are.
        """
        self._is_settled = True
