"""Verdicts: what an outcome is worth."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from webworker_executor.conformance.row import ABSENT, HANGS, Finding, Row, Verdict

ROW = Row("name", "module", "title", "5 ok, pool usable")


@pytest.mark.parametrize(
    ("outcome", "verdict"),
    [
        ("5 ok, pool usable", Verdict.KEPT),
        ("5 ok, pool usable, and more", Verdict.BROKEN),
        ("", Verdict.BROKEN),
        (HANGS, Verdict.HANGS),
        ("1 ok, caller hangs, pool usable", Verdict.HANGS),
        ("3 of 9 hang", Verdict.HANGS),
        ("fails: ChangingError", Verdict.BROKEN),
        ("no API", Verdict.ABSENT),
        ("n/a", Verdict.ABSENT),
    ],
)
def test_an_outcome_is_judged(outcome: str, verdict: Verdict) -> None:
    """As expected, hanging, not asked, or else broken."""
    assert verdict is ROW.judge(outcome)
    assert verdict is Finding(ROW, "subject", outcome).verdict


@given(st.text())
def test_what_is_expected_is_text(expected: str) -> None:
    """Without a pattern, exactly what was expected is accepted, whatever stands in it."""
    row = ROW._replace(expected=expected)
    assert Verdict.KEPT is row.judge(expected)
    if f"{expected}." not in ABSENT:
        assert row.judge(f"{expected}.") in (Verdict.BROKEN, Verdict.HANGS)


@given(st.text(), st.sampled_from(["", "|ok", r"\d+ of \d+"]))
def test_every_outcome_has_one_verdict(outcome: str, accepts: str) -> None:
    """No outcome is beyond judgement."""
    assert ROW._replace(accepts=accepts).judge(outcome) in Verdict
