"""
The first frame tells a worker all that it is born with.
"""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Any

from webworker_executor.launch.spawn import SpawnLauncher
from webworker_executor.pool.birth import Birth
from webworker_executor.wire import codec
from webworker_executor.wire.decoder import FrameDecoder
from webworker_executor.wire.kinds import HELLO

if TYPE_CHECKING:
    from webworker_executor.launch.launcher import Launcher


def told_by(launcher: Launcher) -> dict[str, Any]:
    birth = Birth(launcher, "resize", {"COLOUR": "red"})
    (frame,) = FrameDecoder(frozenset({HELLO})).feed(b"".join(birth.hello(2, 5)))
    told: Any = codec.unpack(frame.payload, frame.buffers)
    assert isinstance(told, dict)
    return told


def test_a_worker_hears_where_it_stands() -> None:
    """
    Its place, its entry in the ledger, the name of the pool, and the program's path.
    """
    told = told_by(SpawnLauncher())
    assert (2, 5, "resize") == (told["index"], told["ledger_entry"], told["name"])
    assert (sys.path, sys.argv) == (told["sys_path"], told["argv"])
    assert (0, None, None) == (told["n_fds"], told["initializer"], told["worker_data"])
