"""Every row of the table of promises holds for our executor; the other pools are only measured."""

from __future__ import annotations

import pytest

from tests.dropin.drive import run_scenario
from tests.dropin.peers import OURS, PEERS, is_installed
from tests.dropin.table import ROWS, Row, keeps_promise

pytestmark = [pytest.mark.slow]


@pytest.mark.parametrize("name", OURS)
@pytest.mark.parametrize("row", ROWS, ids=lambda row: row.scenario)
def test_our_executor_keeps_the_promise(row: Row, name: str) -> None:
    """What the table says of ours is so, however the workers were started."""
    verdict = run_scenario(row.scenario, name)
    assert keeps_promise(row, verdict), f"promised {row.promise!r}, but: {verdict}"


@pytest.mark.peers
@pytest.mark.parametrize("name", PEERS)
@pytest.mark.parametrize("row", ROWS, ids=lambda row: row.scenario)
def test_another_pool_can_be_measured(row: Row, name: str) -> None:
    """The table has a verdict for each pool that is installed."""
    if not is_installed(name):
        pytest.skip(f"{PEERS[name]} is not installed")
    verdict = run_scenario(row.scenario, name)
    assert "fails:" not in verdict, verdict
