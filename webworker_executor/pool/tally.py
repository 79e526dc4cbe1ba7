"""
The tally of a pool: how many of its tasks came to which end.

Not for tasks that came to a good end: those are what is left of all that were taken, so that a task
that does well is never counted.
"""

from __future__ import annotations


class Tally:
    """
    Counts, written under the pool's lock and all of them off the common path.

    Attributes:
        n_unpackable: Calls that could not be packed, and so were never tasks.
        n_failed: Tasks that raised, whose answer could not be made, or that a broken pool failed.
        n_cancelled: Tasks that were cancelled, before they began or by `cancel_running`.
        n_crashed: Tasks that failed with the death of their worker.
        n_timed_out: Tasks that were stopped because their time was over.
        n_aborted: Tasks that were aborted.
        n_retried: How often a task was to run again after its worker's death.
    """

    __slots__ = (
        "n_aborted",
        "n_cancelled",
        "n_crashed",
        "n_failed",
        "n_retried",
        "n_timed_out",
        "n_unpackable",
    )

    def __init__(self) -> None:
        self.n_unpackable = 0
        self.n_failed = 0
        self.n_cancelled = 0
        self.n_crashed = 0
        self.n_timed_out = 0
        self.n_aborted = 0
        self.n_retried = 0

    @property
    def n_ended_badly(self) -> int:
        """How many tasks have no result and will have none."""
        return self.n_failed + self.n_cancelled + self.n_crashed + self.n_timed_out + self.n_aborted
