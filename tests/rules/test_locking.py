"""
Who has a named lock, and who is next.
"""

from __future__ import annotations

from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from webworker_executor.rules.locking import LockTable, Verdict


def test_one_has_it_and_the_next_waits() -> None:
    """Who leaves makes room for who has asked first."""
    table = LockTable()
    assert [(1, Verdict.GRANTED)] == table.ask(1)
    assert [] == table.ask(2)
    assert [] == table.ask(3)
    assert [(2, Verdict.GRANTED)] == table.leave(1)


def test_who_shares_does_not_pass_one_who_waits_to_have_it_alone() -> None:
    """Otherwise a crowd would keep that one out for ever."""
    table = LockTable()
    table.ask(1, is_shared=True)
    assert [(2, Verdict.GRANTED)] == table.ask(2, is_shared=True)
    assert [] == table.ask(3)
    assert [] == table.ask(4, is_shared=True)
    assert [(5, Verdict.REFUSED)] == table.ask(5, is_shared=True, is_patient=False)
    assert [(4, Verdict.GRANTED)] == table.leave(3)


def test_who_steals_has_it_before_all() -> None:
    """Those who had it hear of it, and those who wait go on waiting."""
    table = LockTable()
    table.ask(1)
    table.ask(2)
    assert [(1, Verdict.STOLEN), (3, Verdict.GRANTED)] == table.steal(3)
    assert [] == table.leave(1)
    assert [(2, Verdict.GRANTED)] == table.leave(3)


class Users(RuleBasedStateMachine):
    """
    Whoever asks and leaves in whatever order: the table beside what all of them have heard.
    """

    def __init__(self) -> None:
        super().__init__()
        self.table = LockTable()
        self.n_asked = 0
        # In the order of asking; and by number, whether it is shared.
        self.waiting: list[int] = []
        self.holding: set[int] = set()
        self.is_shared: dict[int, bool] = {}

    def hear(self, verdicts: list[tuple[int, Verdict]]) -> None:
        """Do what everybody does who hears this."""
        for ident, verdict in verdicts:
            if verdict is Verdict.STOLEN:
                self.holding.remove(ident)
                continue
            if verdict is Verdict.GRANTED:
                self.holding.add(ident)
                assert ident == self.waiting[0], "somebody was passed over"
            self.waiting.remove(ident)

    def newcomer(self, *, is_shared: bool) -> int:
        """Return one who has not asked before."""
        self.n_asked += 1
        self.is_shared[self.n_asked] = is_shared
        return self.n_asked

    @rule(is_shared=st.booleans(), is_patient=st.booleans())
    def ask(self, is_shared: bool, is_patient: bool) -> None:
        """Ask, and wait or not."""
        ident = self.newcomer(is_shared=is_shared)
        self.waiting.append(ident)
        verdicts = self.table.ask(ident, is_shared=is_shared, is_patient=is_patient)
        if verdicts == [(ident, Verdict.REFUSED)]:
            self.waiting.remove(ident)
            assert not is_patient
            assert self.waiting or not self.may_have(ident), "it was to be had"
            return
        self.hear(verdicts)
        assert is_patient or ident in self.holding

    @rule()
    def steal(self) -> None:
        """Take it from all who have it."""
        ident = self.newcomer(is_shared=False)
        self.waiting.insert(0, ident)
        self.hear(self.table.steal(ident))
        assert {ident} == self.holding

    @precondition(lambda self: self.waiting or self.holding)
    @rule(data=st.data())
    def leave(self, data: st.DataObject) -> None:
        """Let go, or wait no longer."""
        ident = data.draw(st.sampled_from([*self.waiting, *sorted(self.holding)]))
        self.holding.discard(ident)
        if ident in self.waiting:
            self.waiting.remove(ident)
        self.hear(self.table.leave(ident))

    def may_have(self, ident: int) -> bool:
        """Whether somebody could have it beside those who do."""
        others = [self.is_shared[each] for each in self.holding]
        return not others or (self.is_shared[ident] and all(others))

    @invariant()
    def one_has_it_or_all_share_it(self) -> None:
        """What a lock is for."""
        assert len(self.holding) <= 1 or all(self.is_shared[each] for each in self.holding)

    @invariant()
    def nobody_waits_for_what_is_to_be_had(self) -> None:
        """The next one could not have it."""
        assert not self.waiting or not self.may_have(self.waiting[0])


TestUsers = Users.TestCase
