"""
A worker's side of the ledger, beside the host's.
"""

from __future__ import annotations

import itertools
import threading
from typing import TYPE_CHECKING

import pytest

from webworker_executor.child.notes import Notes
from webworker_executor.link.fds import lift
from webworker_executor.link.ledger import Ledger

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence


class Sides:
    """Both sides of a ledger: what the worker begins, and what the host is told."""

    def __init__(self) -> None:
        self.answers: list[tuple[int, list[int]]] = []
        self.forgotten: list[int] = []
        self.ledger = Ledger(2)
        self.ledger.claim()
        self.entry = self.ledger.claim()
        self.n_recalls = 0
        self.notes = Notes(self.answer, self.forgotten.append, threading.RLock())
        self.notes.map(lift(self.ledger.fd), self.entry)

    def answer(self, number: int, idents: Sequence[int]) -> None:
        assert set(idents) <= set(self.forgotten), "told before it was forgotten"
        self.answers.append((number, list(idents)))

    def begin(self, *idents: int) -> list[bool]:
        return [self.notes.begin(1.5, ident) for ident in idents]

    def recall(self) -> None:
        self.n_recalls += 1
        self.ledger.withhold(self.entry, self.n_recalls)

    def come_to(self, links: Iterable[str], number: int | None = None) -> None:
        for link in links:
            if link == "data":
                self.notes.come_to_mark(number or self.n_recalls)
            else:
                self.notes.come_to_mark_aside(number or self.n_recalls)

    @property
    def begun(self) -> int | None:
        return self.ledger.begun(self.entry)


@pytest.fixture
def sides() -> Iterator[Sides]:
    """
    Make a ledger of which the worker has the second entry.
    """
    sides = Sides()
    yield sides
    sides.ledger.close()
    assert sides.notes._ledger is not None
    sides.notes._ledger.close()


def test_what_begins_stands_in_the_ledger(sides: Sides) -> None:
    """
    With its time, in the entry of this worker alone.
    """
    assert [True, True] == sides.begin(7, 8)
    assert (8, 1.5, 0) == (
        sides.begun,
        sides.ledger.begun_at(sides.entry, 8),
        sides.ledger.begun(sides.entry - 1),
    )


def test_without_an_entry_everything_begins() -> None:
    """
    Where the kernel refuses shared memory.
    """
    notes = Notes(lambda *_: None, lambda _: None, threading.RLock())
    assert notes.begin(1.5, 7)


def test_what_was_recalled_is_passed_over_until_the_mark(sides: Sides) -> None:
    """
    The ledger names what was begun before, which may be done without the host's knowledge.
    """
    sides.begin(7)
    sides.recall()
    assert [False, False, 7] == [*sides.begin(8, 9), sides.begun]
    sides.come_to(["data"])
    assert [True, 10] == [*sides.begin(10), sides.begun]
    sides.come_to(["control"])
    assert [(1, [8, 9])] == sides.answers


@pytest.mark.parametrize("order", [*itertools.permutations(["data", "control"])])
def test_the_host_is_told_when_both_marks_were_come_to(
    sides: Sides, order: tuple[str, ...]
) -> None:
    """
    Once, with what was passed over, in order.
    """
    sides.recall()
    sides.begin(3, 5)
    sides.come_to(order[:1])
    assert [] == sides.answers
    sides.come_to(order[1:])
    assert [(1, [3, 5])] == sides.answers


def test_a_mark_that_a_tear_of_the_host_lost_is_made_good_by_the_next(sides: Sides) -> None:
    """
    Whatever was passed over is told once; only what is behind both marks of the last is begun.
    """
    sides.recall()
    assert [False] == sides.begin(3)
    sides.come_to(["data"], 1)
    sides.recall()
    assert [False] == sides.begin(5)
    sides.come_to(["control"], 2)
    assert [False] == sides.begin(7)
    sides.come_to(["data"], 2)
    assert [(1, [3, 5]), (2, [7])] == sides.answers
    assert [True] == sides.begin(9)


def test_the_count_begins_anew_after_a_byte(sides: Sides) -> None:
    """
    On both sides.
    """
    for number in range(1, 600):
        sides.recall()
        assert [False] == sides.begin(number)
        sides.come_to(["control", "data"])
        assert (number, [number]) == sides.answers[-1]
    assert [True] == sides.begin(1000)
