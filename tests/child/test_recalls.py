"""
Recalls of everything, as a worker comes to them.
"""

from __future__ import annotations

import itertools
from typing import TYPE_CHECKING

import pytest

from webworker_executor.child.recalls import Recalls
from webworker_executor.wire.frame import IDENT

if TYPE_CHECKING:
    from collections.abc import Iterable


class Told:
    """What the host was told, and what was forgotten by then."""

    def __init__(self) -> None:
        self.answers: list[list[int]] = []
        self.forgotten: list[int] = []
        self.recalls = Recalls(self.answer, self.forgotten.append)

    def answer(self, payload: bytes) -> None:
        idents = [ident for (ident,) in IDENT.iter_unpack(payload)]
        assert set(idents) <= set(self.forgotten), "told before it was forgotten"
        self.answers.append(idents)

    def come_to(self, links: Iterable[str]) -> None:
        for link in links:
            if link == "data":
                self.recalls.come_to_mark()
            else:
                self.recalls.come_to_mark_aside()


@pytest.mark.parametrize("order", [*itertools.permutations(["data", "control"])])
def test_the_host_is_told_when_both_marks_were_come_to(order: tuple[str, ...]) -> None:
    """
    Once, with what was passed over, in order.
    """
    told = Told()
    told.recalls.pass_over(3)
    told.recalls.pass_over(5)
    told.come_to(order[:1])
    assert [] == told.answers
    told.come_to(order[1:])
    assert [[3, 5]] == told.answers


@pytest.mark.parametrize("n_data_first", [0, 1, 2])
def test_a_recall_that_was_told_twice_is_answered_twice(n_data_first: int) -> None:
    """
    As after a torn step of the host: whatever was passed over is told, once.
    """
    told = Told()
    order = ["data"] * n_data_first + ["control"] * 2 + ["data"] * (2 - n_data_first)
    for number, link in enumerate(order):
        told.recalls.pass_over(number)
        told.come_to([link])
    assert 2 == len(told.answers)
    assert [0, 1, 2, 3] == list(itertools.chain(*told.answers)) == told.forgotten
    assert 2 == told.recalls.count_byte


def test_the_count_is_a_byte_as_in_the_ledger() -> None:
    """
    It begins anew after 255, and answers go on.
    """
    told = Told()
    told.come_to(["control", "data"] * 258)
    assert (2, 258) == (told.recalls.count_byte, len(told.answers))
