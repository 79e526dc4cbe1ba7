"""
One record serves whoever works on all the parts of a pool.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from webworker_executor import WebWorkerExecutor


def test_all_work_on_the_same_parts(forked: WebWorkerExecutor) -> None:
    """
    What performs, what reports and the pool itself know one table of calls and one crew.
    """
    pool = forked._pool
    for part in (pool._performer, pool._reports):
        assert pool.promises is part._promises
        assert pool.crew is part._crew
