"""
Tests of `webworker_executor.web.adherents`: who follows is found for as long as others keep him.
"""

from __future__ import annotations

from webworker_executor.web.adherents import Adherents


class Somebody:
    """Whoever can be referred to weakly."""


def test_who_is_not_kept_leaves() -> None:
    """
    The others stay, in their order.
    """
    adherents = Adherents[Somebody]()
    first, second, third = Somebody(), Somebody(), Somebody()
    for member in (first, second, third):
        adherents.add(member)
    assert [first, second, third] == adherents.living()
    adherents.remove(second)
    adherents.remove(second)
    assert [first, third] == adherents.living()
    del member, third
    assert [first] == adherents.living()
    assert 1 == len(adherents)


def test_a_call_follows_who_has_left() -> None:
    """
    It finds him gone; and none is made for one who was let go before.
    """
    adherents = Adherents[Somebody]()
    left: list[int] = []
    first, second = Somebody(), Somebody()
    for member in (first, second):
        adherents.add(member, lambda: left.append(len(adherents)))
    adherents.remove(first)
    del member, first
    assert [] == left
    del second
    assert [0] == left
