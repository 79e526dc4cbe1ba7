"""
Tests of `webworker_executor.web.environment`: what every later worker is born with.
"""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING, Any

import pytest

from tests.conformance.listening import SECONDS
from webworker_executor import (
    MessageChannel,
    WebWorkerExecutor,
    Worker,
    get_environment_data,
    set_environment_data,
)

if TYPE_CHECKING:
    from collections.abc import Iterator

    from webworker_executor.web.launchers import LauncherName

SAY = """
from webworker_executor import get_environment_data
post_message(get_environment_data("x"))
"""


@pytest.fixture(autouse=True)
def _nothing_left() -> Iterator[None]:
    yield
    set_environment_data("x", None)


def said_by_worker(**options: Any) -> object:
    """
    Return what a worker that is started now has.
    """
    with Worker(source=SAY, **options) as worker:
        return worker.receive(SECONDS).data


def test_every_worker_has_it(launcher: LauncherName) -> None:
    """
    Those of executors as well, however they are started.
    """
    value = {"path": ["a", 1], "large": bytearray(1 << 17)}
    set_environment_data("x", value)
    assert value == said_by_worker(launcher=launcher)
    with WebWorkerExecutor(1, launcher=launcher) as executor:
        assert value == executor.submit(get_environment_data, "x").result(SECONDS)


def test_workers_of_workers() -> None:
    """
    A worker hands on what it has, with what it has set itself.
    """
    set_environment_data("x", [1])
    source = f"""
from webworker_executor import Worker, get_environment_data, set_environment_data
set_environment_data("x", [*get_environment_data("x"), 2])
with Worker(source={SAY!r}) as worker:
    post_message(worker.receive(20).data)
"""
    with Worker(source=source) as worker:
        assert [1, 2] == worker.receive(SECONDS).data
    assert [1] == get_environment_data("x")


def test_it_is_copied_when_it_is_set() -> None:
    """
    What is changed afterwards is not seen, neither by workers nor here.
    """
    value = [1]
    set_environment_data("x", value)
    value.append(2)
    assert [1] == said_by_worker()
    get_environment_data("x").append(3)
    assert [1] == get_environment_data("x")


def test_workers_that_run_keep_what_they_have() -> None:
    """
    Set anew or taken away, it counts for those that come later.
    """
    set_environment_data("x", 1)
    with WebWorkerExecutor(1, max_tasks_per_child=2) as executor:
        assert 1 == executor.submit(get_environment_data, "x").result(SECONDS)
        set_environment_data("x", 2)
        assert 1 == executor.submit(get_environment_data, "x").result(SECONDS)
        assert 2 == executor.submit(get_environment_data, "x").result(SECONDS)
    set_environment_data("x", None)
    assert None is get_environment_data("x")
    assert None is said_by_worker()


def test_what_cannot_be_kept() -> None:
    """
    It is refused at the call, and the old value stays.
    """
    set_environment_data("x", 1)
    with pytest.raises(TypeError, match="kept by texts, not by 3"):
        set_environment_data(3, 1)  # type: ignore[arg-type]  # what is tested
    with pytest.raises(TypeError, match="lock") as caught:
        set_environment_data("x", [threading.Lock()])
    assert caught.value.__notes__[0].startswith("value[0] cannot be sent. ")
    with MessageChannel() as channel, pytest.raises(Exception, match="goes in a message"):
        set_environment_data("x", channel.port1)
    assert 1 == get_environment_data("x")


def test_a_large_value_can_be_changed() -> None:
    """
    Each who asks has a copy of its own.
    """
    numpy = pytest.importorskip("numpy")
    set_environment_data("x", numpy.zeros(1_000_000))
    value = get_environment_data("x")
    value[0] = 1.0
    assert 0.0 == get_environment_data("x")[0]
