"""
What a row of the table is, and what an outcome is worth.

Pure: the outcomes themselves are made by running programs, in `watch`.
"""

from __future__ import annotations

import enum
import re
from typing import NamedTuple

HANGS = "hangs"

LIMIT = 30.0
"""Seconds until a scenario's program that says nothing is said to hang."""


class Verdict(enum.Enum):
    """What an outcome is worth."""

    KEPT = "ok"
    BROKEN = "BROKEN"
    HANGS = "HANGS"
    ABSENT = "absent"
    """The class does not claim to have what is asked: no fault of a drop-in."""


class Row(NamedTuple):
    """One scenario, what is expected of it, and what outcomes are accepted as that."""

    name: str
    module: str
    title: str
    expected: str
    """In words, for readers; the outcome to the letter where `accepts` is empty."""

    accepts: str = ""
    """A pattern that matches the whole of an outcome as good as expected."""

    limit: float = LIMIT
    has_terminal: bool = False

    def judge(self, outcome: str) -> Verdict:
        """
        Say what an outcome is worth.

        Args:
            outcome: What happened, in the words of the scenario.
        """
        if re.fullmatch(self.accepts or re.escape(self.expected), outcome):
            return Verdict.KEPT
        if outcome in ABSENT:
            return Verdict.ABSENT
        if re.search(r"\bhangs?\b", outcome):
            return Verdict.HANGS
        return Verdict.BROKEN


ABSENT = ("n/a", "no API")
"""Outcomes by which a scenario says that it could not ask."""


class Finding(NamedTuple):
    """What one class made of one row."""

    row: Row
    subject: str
    outcome: str

    @property
    def verdict(self) -> Verdict:
        """What that is worth."""
        return self.row.judge(self.outcome)
