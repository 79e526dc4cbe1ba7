"""
The first frame tells every worker what it needs to look like its host.
"""

from __future__ import annotations

import os
import sys
from types import ModuleType
from typing import TYPE_CHECKING, Any

from webworker_executor.launch.launcher import interpreter
from webworker_executor.launch.spawn import SpawnLauncher
from webworker_executor.launch.zygote import ZygoteLauncher
from webworker_executor.web.hello import lay_out_hello
from webworker_executor.web.movable import MOVABLE, movable
from webworker_executor.wire import codec
from webworker_executor.wire.decoder import FrameDecoder
from webworker_executor.wire.kinds import HELLO

if TYPE_CHECKING:
    import pytest

    from webworker_executor.launch.launcher import Launcher


def told_by(launcher: Launcher, **particulars: Any) -> dict[str, Any]:
    parts = lay_out_hello(
        launcher, {"COLOUR": "red"}, index=2, name="resize", has_witness=True, **particulars
    )
    (frame,) = FrameDecoder(frozenset({HELLO})).feed(b"".join(parts))
    told: Any = codec.unpack(frame.payload, frame.buffers)
    assert isinstance(told, dict)
    return told


def test_a_worker_that_was_forked_elsewhere_hears_of_the_surroundings() -> None:
    """
    One whose launcher passes them on does not.
    """
    told = told_by(ZygoteLauncher())
    assert (os.getcwd(), "red") == (told["cwd"], told["environ"]["COLOUR"])
    told = told_by(SpawnLauncher())
    assert (None, None) == (told["cwd"], told["environ"])


def test_what_one_kind_of_worker_is_told_goes_before_what_all_are() -> None:
    """
    Such as the arguments of a script; the rest is the program's own.
    """
    told = told_by(SpawnLauncher(), argv=["script"], memory=5)
    assert (["script"], 5, sys.path) == (told["argv"], told["memory"], told["sys_path"])
    assert (2, "resize", True) == (told["index"], told["name"], told["has_witness"])


def test_modules_that_another_thread_imports_at_this_moment(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """
    Half made, they have nothing to tell yet, and harm nobody.
    """
    names = ("process", "context", "spawn", "connection")
    for module in (*(f"multiprocessing.{name}" for name in names), "asyncio.trsock"):
        monkeypatch.setitem(sys.modules, module, ModuleType(module))
    told = told_by(SpawnLauncher())["multiprocessing"]
    assert ("MainProcess", (), None) == (told["name"], told["identity"], told["start_method"])
    assert sys.executable == interpreter()
    assert MOVABLE == movable()
