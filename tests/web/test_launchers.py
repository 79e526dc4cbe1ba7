"""
Launchers are known by their names.
"""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING

import pytest

from tests.conformance.listening import SECONDS
from webworker_executor import WebWorkerExecutor, Worker
from webworker_executor.launch.fork import ForkLauncher
from webworker_executor.launch.spawn import SpawnLauncher
from webworker_executor.launch.zygote import ZygoteLauncher
from webworker_executor.web.launchers import close_launcher, find_launcher

if TYPE_CHECKING:
    from collections.abc import Callable


def test_launchers_by_name() -> None:
    """
    A name is a launcher, and so is a launcher.
    """
    kinds = {"spawn": SpawnLauncher, "zygote": ZygoteLauncher, "fork": ForkLauncher}
    assert kinds == {name: type(find_launcher(name)) for name in kinds}
    assert find_launcher("zygote") is find_launcher("zygote")
    assert find_launcher("zygote") is not find_launcher("zygote", is_shared=False)
    own = SpawnLauncher()
    assert own is find_launcher(own)
    with pytest.raises(TypeError, match="a name or a launcher"):
        find_launcher(5)  # type: ignore[arg-type]  # what is tested
    with pytest.raises(ValueError, match="not 'thread'"):
        find_launcher("thread")


def test_the_class_of_a_launcher_is_none() -> None:
    """
    Nor for an executor or a worker: the call says what was forgotten, and nobody waits.
    """
    with pytest.raises(TypeError, match=r"give ZygoteLauncher\(\), with parentheses"):
        find_launcher(ZygoteLauncher)  # type: ignore[arg-type]  # what is tested
    with pytest.raises(TypeError, match=r"give ZygoteLauncher\(\)"):
        WebWorkerExecutor(1, launcher=ZygoteLauncher)  # type: ignore[arg-type]  # what is tested
    with pytest.raises(TypeError, match=r"give SpawnLauncher\(\)"):
        Worker(source="", launcher=SpawnLauncher)  # type: ignore[arg-type]  # what is tested


class Unclosable(SpawnLauncher):
    """What cannot be let go of."""

    def close(self, on_closed: Callable[[], object]) -> None:
        raise RuntimeError("it does not close")


def test_a_launcher_that_cannot_be_closed_is_let_go(caplog: pytest.LogCaptureFixture) -> None:
    """
    The log says why, and whoever waits for its end goes on.
    """
    told: list[bool] = []
    close_launcher(Unclosable(), lambda: told.append(True))
    assert [True] == told
    assert "could not be closed: RuntimeError: it does not close" in caplog.text


def test_a_worker_whose_launcher_cannot_be_closed_ends() -> None:
    """
    With it the host's threads, as after any other.
    """
    with Worker(source="post_message(1)", launcher=Unclosable()) as worker:
        assert 1 == worker.receive(SECONDS).data
        reactor = next(each for each in threading.enumerate() if each.name == "webworker-reactor")
    reactor.join(SECONDS)
    assert not reactor.is_alive()
