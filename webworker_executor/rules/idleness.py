"""
Decide which workers have been idle for too long.

Not for closing them. A changer must know: no event of a task tells the time, so that an idle worker
is *seen* at one look and judged at a later one. It leaves after the time that was given at the
earliest, and half as much later at the latest.
"""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Container, Iterable

    from webworker_executor.rules.worker import Worker

__all__ = ["Idleness"]


class Idleness:
    """
    Watch idle workers.

    Args:
        seconds: How long one may be idle; None for ever.
        least: How many workers stay, however idle they are.

    Attributes:
        look_at: When to look next; None while there is nobody who could leave.

    Source: loky's `timeout` and deadpool's `min_workers`.
    """

    __slots__ = ("_kept", "_least", "_seconds", "look_at")

    def __init__(self, seconds: float | None, least: int) -> None:
        self._seconds = seconds
        self._least = least
        self._kept: dict[int, int] = {}
        self.look_at: float | None = None

    def keep(self, slot: int, count: int) -> None:
        """
        Take note that the worker in a place has what must not be lost, such as an object.

        Args:
            slot: The place.
            count: How many things more, or fewer.
        """
        self._kept[slot] = self._kept.get(slot, 0) + count

    def wakes(self, n_live: int) -> bool:
        """
        Take note of a new worker.

        Args:
            n_live: How many there are.

        Returns:
            Whether an alarm is wanted, at once, from which all others follow.
        """
        if self._seconds is None or self.look_at is not None or n_live <= self._least:
            return False
        self.look_at = 0.0
        return True

    def look(
        self, now: float, idle: Iterable[Worker], n_live: int, busy_slots: Container[int]
    ) -> list[Worker]:
        """
        See who is idle, and name those that have been for too long.

        Args:
            now: The time in seconds.
            idle: The workers without a task, the one that was used last at the end.
            n_live: How many workers there are, idle or not.
            busy_slots: Places for which a task waits.

        Returns:
            Who shall leave; `look_at` is when to look again.
        """
        assert self._seconds is not None
        leaving: list[Worker] = []
        self.look_at = now + self._seconds / 2
        for worker in idle:
            if worker.n_seen != worker.n_sent:
                worker.n_seen, worker.seen_at = worker.n_sent, now
            is_bound = self._kept.get(worker.slot, 0) > 0 or worker.slot in busy_slots
            if is_bound or n_live <= self._least:
                continue
            due = worker.seen_at + self._seconds
            if due <= now:
                leaving.append(worker)
                n_live -= 1
            else:
                self.look_at = min(self.look_at, due)
        if n_live <= self._least:
            self.look_at = None
        return leaving
