"""
Findings as a table: for a terminal, for a page, and for other programs.

Pure: what is found is made elsewhere, and written elsewhere.
"""

from __future__ import annotations

import json
import textwrap
from collections import Counter
from typing import TYPE_CHECKING

from webworker_executor.conformance.row import Finding, Verdict

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

_HEADS = ("scenario", "expected", "what happened", "verdict")
_MAX_WIDTHS = (38, 34, 34, 8)


def as_text(findings: Sequence[Finding]) -> str:
    """
    Lay out the findings about one class for a terminal.

    Returns:
        Lines of at most 120 characters; longer cells go on below.
    """
    cells = [
        (finding.row.title.replace("`", ""), finding.row.expected, finding.outcome, finding.verdict)
        for finding in findings
    ]
    rows = [_HEADS, *((*texts, verdict.value) for *texts, verdict in cells)]
    lines: list[str] = []
    for number, row in enumerate(rows):
        columns = [
            textwrap.wrap(text, width) or [""] for text, width in zip(row, _MAX_WIDTHS, strict=True)
        ]
        for index in range(max(map(len, columns))):
            parts = (
                (column[index] if index < len(column) else "").ljust(width)
                for column, width in zip(columns, _MAX_WIDTHS, strict=True)
            )
            lines.append("  ".join(parts).rstrip())
        if number == 0:
            lines.append("  ".join("-" * width for width in _MAX_WIDTHS))
    return "\n".join([*lines, "", summarize(findings)])


def summarize(findings: Iterable[Finding]) -> str:
    """Say in one line how many rows came to what."""
    tally = Counter(finding.verdict for finding in findings)
    asked = sum(tally.values()) - tally[Verdict.ABSENT]
    parts = [f"{tally[Verdict.KEPT]} of {asked} kept"]
    for verdict, word in (
        (Verdict.BROKEN, "broken"),
        (Verdict.HANGS, "hang"),
        (Verdict.ABSENT, "absent"),
    ):
        if tally[verdict]:
            parts.append(f"{tally[verdict]} {word}")
    return ", ".join(parts)


def as_markdown(findings: Sequence[Finding], titles: Sequence[str] = ()) -> str:
    """
    Lay out the findings as a Markdown table, a column for each class.

    Args:
        findings: About one class, or several.
        titles: The heads of the columns; the classes themselves otherwise.

    Returns:
        A table. What was expected is in bold where it happened.
    """
    subjects = list(dict.fromkeys(finding.subject for finding in findings))
    heads = ["scenario", "expected", *(titles or subjects)]
    lines = [_as_line(heads), "|---" * len(heads) + "|"]
    by_row: dict[str, dict[str, Finding]] = {}
    for finding in findings:
        by_row.setdefault(finding.row.name, {})[finding.subject] = finding
    for found in by_row.values():
        row = next(iter(found.values())).row
        cells = [_as_cell(found.get(subject)) for subject in subjects]
        lines.append(_as_line([row.title, row.expected, *cells]))
    sums = (
        summarize(finding for finding in findings if finding.subject == subject)
        for subject in subjects
    )
    return "\n".join([*lines, _as_line(["**in all**", "", *sums])])


def _as_cell(finding: Finding | None) -> str:
    if finding is None:
        return ""
    outcome = finding.outcome.replace("|", "\\|")
    return f"**{outcome}**" if finding.verdict is Verdict.KEPT else outcome


def _as_line(cells: Iterable[str]) -> str:
    return f"| {' | '.join(cells)} |"


def as_json(findings: Iterable[Finding]) -> str:
    """Give the findings to other programs: a list of objects."""
    return json.dumps(
        [
            {
                "scenario": finding.row.name,
                "title": finding.row.title,
                "expected": finding.row.expected,
                "subject": finding.subject,
                "outcome": finding.outcome,
                "verdict": finding.verdict.value.lower(),
            }
            for finding in findings
        ],
        indent=1,
    )
