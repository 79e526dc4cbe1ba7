"""Tables of findings: nothing is lost, whatever the words are."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

from hypothesis import given
from hypothesis import strategies as st

from webworker_executor.conformance.row import Finding, Row, Verdict
from webworker_executor.conformance.rows import ROWS
from webworker_executor.conformance.table import (
    as_json,
    as_markdown,
    as_text,
    summarize,
)

if TYPE_CHECKING:
    from collections.abc import Sequence

LINES = st.text(st.characters(exclude_categories=["C", "Z"]) | st.just(" "), max_size=200)


def findings_of(outcomes: Sequence[str], subject: str = "one") -> list[Finding]:
    """Make findings about the first rows."""
    return [Finding(row, subject, text) for row, text in zip(ROWS, outcomes, strict=False)]


@given(st.lists(LINES, max_size=9))
def test_a_terminal_is_wide_enough(outcomes: list[str]) -> None:
    """No line is longer than 120 characters, and no letter of an outcome is lost."""
    findings = findings_of(outcomes)
    text = as_text(findings)
    assert all(len(line) <= 120 for line in text.splitlines())
    assert "".join(outcomes).replace(" ", "").__len__() <= len(text)
    for finding in findings:
        assert finding.row.title.split()[0].replace("`", "") in text


@given(st.lists(LINES, max_size=9), st.lists(LINES, max_size=9))
def test_a_page_has_a_column_for_each(ones: list[str], others: list[str]) -> None:
    """Each line has as many cells as the head, also where a class was not asked."""
    table = as_markdown([*findings_of(ones), *findings_of(others, "other")])
    cells = {line.replace("\\|", "").count("|") for line in table.split("\n")}
    assert 1 == len(cells)


def test_a_page_shows_what_is_kept() -> None:
    """What was expected is bold, a column may have another head, and the sums stand below."""
    row = Row("name", "module", "title", "yes")
    found = [Finding(row, "a", "yes"), Finding(row, "b", "no|never")]
    assert (
        "| scenario | expected | ours | theirs |\n"
        "|---|---|---|---|\n"
        "| title | yes | **yes** | no\\|never |\n"
        "| **in all** |  | 1 of 1 kept | 0 of 1 kept, 1 broken |"
    ) == as_markdown(found, ["ours", "theirs"])


@given(st.lists(st.sampled_from(["n/a", "hangs", "else", ROWS[0].expected])))
def test_the_sum_is_the_number_of_rows(outcomes: list[str]) -> None:
    """Every row is counted once."""
    findings = [Finding(ROWS[0], "one", outcome) for outcome in outcomes]
    words = summarize(findings).replace(",", "").split()
    n_kept, n_asked = int(words[0]), int(words[2])
    n_absent = outcomes.count("n/a")
    assert len(outcomes) == n_asked + n_absent
    assert n_kept == sum(finding.verdict is Verdict.KEPT for finding in findings)


@given(st.lists(LINES, max_size=9))
def test_findings_are_there_for_other_programs(outcomes: list[str]) -> None:
    """One by one, in their order, with what was asked, what came of it, and the verdict."""
    findings = findings_of(outcomes)
    told = [
        (each["scenario"], each["subject"], each["outcome"], each["verdict"])
        for each in json.loads(as_json(findings))
    ]
    assert told == [
        (each.row.name, each.subject, each.outcome, each.verdict.value.lower()) for each in findings
    ]
