"""Other pools can be measured, and the pages' tables hold what was measured."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.dropin.peers import PEERS, SUBJECTS, is_installed
from tests.dropin.table import FAULTS, HARD_CASES, PAGES, measure
from webworker_executor.conformance import watch
from webworker_executor.conformance.row import Finding, Row
from webworker_executor.conformance.rows import ROWS
from webworker_executor.conformance.table import as_json

if TYPE_CHECKING:
    from pathlib import Path


def test_the_tables_name_what_there_is() -> None:
    """Each column is a pool, and each hard case a scenario."""
    assert set(FAULTS) <= set(SUBJECTS)
    assert set(HARD_CASES) <= {row.name for row in ROWS}


@pytest.mark.parametrize(
    ("page", "rows"),
    [("faults-table.md", ROWS), ("peers-table.md", [r for r in ROWS if r.name in HARD_CASES])],
    ids=["faults", "peers"],
)
def test_a_page_has_every_row(page: str, rows: list[Row]) -> None:
    """Who adds a scenario measures it."""
    lines = (PAGES / page).read_text().splitlines()
    firsts = [line.split("|")[1].strip() for line in lines if line.startswith("| ")]
    assert ["scenario", *(row.title for row in rows), "**in all**"] == firsts


def test_what_is_known_is_not_measured_again(tmp_path: Path) -> None:
    """Findings that were kept are taken as they are, in the table's order."""
    rows = [row for row in ROWS if row.name in HARD_CASES]
    kept = [Finding(row, "kept", "as it was") for row in reversed(rows)]
    (tmp_path / "loky.json").write_text(as_json(kept))
    assert [Finding(row, "loky", "as it was") for row in rows] == measure("loky", rows, tmp_path)


@pytest.mark.slow
@pytest.mark.peers
@pytest.mark.parametrize("name", PEERS)
@pytest.mark.parametrize("row", [row for row in ROWS if row.name in HARD_CASES], ids=lambda r: r[0])
def test_another_pool_can_be_measured(row: Row, name: str) -> None:
    """The table has a verdict for each pool that is installed."""
    if not is_installed(name):
        pytest.skip(f"{SUBJECTS[name].target} is not installed")
    outcome = watch.run(row, SUBJECTS[name])
    assert not outcome.startswith("fails:"), outcome
