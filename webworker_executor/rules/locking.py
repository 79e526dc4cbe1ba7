"""
Decide who has a named lock, and who is next.

Not for how anybody asks or hears. A changer must know: who asks is admitted in the order of asking,
so a crowd that shares the lock cannot keep one out who wants it alone.
"""

from __future__ import annotations

from enum import Enum

__all__ = ["LockTable", "Verdict"]


class Verdict(Enum):
    """
    What somebody who asks hears; the value is what is said on the wire.

    Source: Web Locks, "Algorithms": "process the lock request queue".
    """

    GRANTED = b"G"
    REFUSED = b"R"
    STOLEN = b"S"


class LockTable:
    """
    Who has a lock and who waits for it.

    Each is known by a number that no other has at the time. What a method returns is to be told to
    whom it names, in that order.

    Source: Web Locks, "Lock Concept" and "Lock Requests".
    """

    __slots__ = ("_held", "_waiting")

    def __init__(self) -> None:
        # By number, whether it is shared; those who wait in the order of asking.
        self._held: dict[int, bool] = {}
        self._waiting: dict[int, bool] = {}

    def ask(
        self, ident: int, *, is_shared: bool = False, is_patient: bool = True
    ) -> list[tuple[int, Verdict]]:
        """
        Let somebody ask.

        Args:
            ident: Who asks, for the first time.
            is_shared: Whether others may have the lock meanwhile who share it, too.
            is_patient: Whether to wait where it is not to be had at once.

        Returns:
            Whether it is granted or refused; nothing for one who waits.
        """
        self._waiting[ident] = is_shared
        verdicts = self._admit()
        if verdicts or is_patient:
            return verdicts
        del self._waiting[ident]
        return [(ident, Verdict.REFUSED)]

    def steal(self, ident: int) -> list[tuple[int, Verdict]]:
        """
        Give somebody the lock alone, whoever has it, and before all who wait.

        Args:
            ident: Who takes it, and has not asked before.

        Returns:
            Those who have lost it, and the grant.
        """
        lost = [(holder, Verdict.STOLEN) for holder in self._held]
        self._held = {ident: False}
        return [*lost, (ident, Verdict.GRANTED)]

    def leave(self, ident: int) -> list[tuple[int, Verdict]]:
        """
        Take somebody out who has released the lock, or waits no longer, or has died.

        Args:
            ident: Who; unknown ones are no error, as who lost the lock has gone already.

        Returns:
            Those who have it now.
        """
        self._held.pop(ident, None)
        self._waiting.pop(ident, None)
        return self._admit()

    def _admit(self) -> list[tuple[int, Verdict]]:
        admitted = []
        for ident, is_shared in tuple(self._waiting.items()):
            if self._held and not (is_shared and all(self._held.values())):
                break
            del self._waiting[ident]
            self._held[ident] = is_shared
            admitted.append((ident, Verdict.GRANTED))
        return admitted
