"""
Every fast path at once, with every result checked.
"""

from __future__ import annotations

import os
import random
from typing import TYPE_CHECKING

import pytest

from tests.chaos.storm import rage

if TYPE_CHECKING:
    from collections.abc import Callable

    from webworker_executor.web.launchers import LauncherName

# `tox -e storm` asks for a million; what runs by default is a breeze.
N_TASKS = int(os.environ.get("STORM_TASKS", "60000"))


@pytest.mark.slow
@pytest.mark.timeout(60 + N_TASKS / 1000)
def test_every_task_of_a_storm_has_its_own_result(
    launcher: LauncherName, record_property: Callable[[str, object], None]
) -> None:
    """
    Results, exceptions, crashes, aborts, cancels and callbacks come once, and to the right one.
    """
    seed = random.SystemRandom().randrange(10**9)
    record_property("seed", seed)
    assert rage(launcher, N_TASKS // 3, seed) >= N_TASKS // 3
