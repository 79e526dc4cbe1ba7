"""
Decide when to try again after workers failed to start, and when to give up.

Not for which worker to start. A changer must know: workers started together fail together; such a
volley is *one* failed attempt, or eight workers with a broken initializer would use up all patience
without one retry.
"""

from __future__ import annotations

__all__ = ["LONGEST_DELAY", "Births"]

LONGEST_DELAY = 5.0
_LARGEST_EXPONENT = 16


class Births:
    """
    Count failed starts and space the retries.

    Args:
        attempts: How many volleys of starts may fail in a row.
        delay: Seconds before the first retry; doubles each time, up to `LONGEST_DELAY`.
        patience: Seconds to go on trying while the system has no room for a process.

    Attributes:
        n_volleys: Failed volleys since the last success; what a worker's `birth` is stamped with.
        retry_at: When the next start may be tried; None for now.

    Source: fork(2) for EAGAIN and ENOMEM, socketpair(2) for EMFILE: states, which pass.
    """

    __slots__ = (
        "_attempts",
        "_delay",
        "_n_failures",
        "_patience",
        "_scarce_since",
        "n_volleys",
        "retry_at",
    )

    def __init__(self, attempts: int, delay: float, patience: float) -> None:
        self._attempts = attempts
        self._delay = delay
        self._patience = patience
        self.forget()

    def forget(self) -> None:
        """
        Forget all failures: a worker is up, or nobody waits for one any more.
        """
        self.n_volleys = 0
        self._n_failures = 0
        self._scarce_since: float | None = None
        self.retry_at: float | None = None

    def failed(self, birth: int, now: float, *, transient: bool) -> bool:
        """
        Count a failed start and set the time of the next try.

        Args:
            birth: `n_volleys` as it was when the start was tried.
            now: The time in seconds.
            transient: Whether the system merely had no room: no descriptors, processes or memory.

        Returns:
            Whether a new time was set, so that an alarm is wanted.
        """
        if birth == self.n_volleys:
            self.n_volleys += 1
            self._n_failures += not transient
        if transient and self._scarce_since is None:
            self._scarce_since = now
        if self.retry_at is not None:
            return False
        exponent = min(max(self.n_volleys - 1, 0), _LARGEST_EXPONENT)
        self.retry_at = now + min(self._delay * 2**exponent, LONGEST_DELAY)
        if self._scarce_since is not None and now < self._scarce_since + self._patience:
            self.retry_at = min(self.retry_at, self._scarce_since + self._patience)
        return True

    def is_hopeless(self, now: float) -> bool:
        """
        Tell whether patience is used up, unless workers are alive all the same.

        Args:
            now: The time in seconds.

        Returns:
            True once enough attempts failed, or the system had no room for too long.
        """
        if self._n_failures >= self._attempts:
            return True
        return self._scarce_since is not None and now >= self._scarce_since + self._patience
