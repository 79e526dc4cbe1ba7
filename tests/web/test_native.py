"""
Tests of `webworker_executor.web.native`: the process of a worker that runs Python.
"""

from __future__ import annotations

import os
import threading
from typing import TYPE_CHECKING, Any

import pytest

from tests.conformance.listening import SECONDS
from webworker_executor import Worker

if TYPE_CHECKING:
    from pathlib import Path


def test_it_finds_what_the_program_finds(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """
    Modules are found where the program finds them at that moment.
    """
    (tmp_path / "late_module.py").write_text("VALUE = 5")
    monkeypatch.syspath_prepend(tmp_path)
    with Worker(source="import late_module; post_message(late_module.VALUE)") as worker:
        assert 5 == worker.receive(SECONDS).data


def test_data_that_cannot_be_packed() -> None:
    """
    It is told at the call, and nothing stays open.
    """
    before = len(os.listdir("/proc/self/fd"))
    with pytest.raises(TypeError, match="cannot pickle"):
        Worker(source="", worker_data=threading.Lock())
    assert before == len(os.listdir("/proc/self/fd"))


def test_large_data() -> None:
    """
    What is larger than any buffer of the kernel arrives, both ways.
    """
    data = bytearray(os.urandom(3_000_000))
    source = "post_message(worker_data)\ndef onmessage(event): post_message(event.data)"
    with Worker(source=source, worker_data=data) as worker:
        assert data == worker.receive(SECONDS).data
        worker.post_message(data)
        assert data == worker.receive(SECONDS).data
        assert 0 == worker.buffered_amount


@pytest.mark.parametrize("launcher", ["spawn", "zygote", "fork"])
def test_surroundings_with_every_launcher(launcher: str, tmp_path: Path) -> None:
    """
    Variables and directory are those asked for, however the process comes to be.
    """
    source = "import os; post_message((os.environ['COLOUR'], os.getcwd()))"
    options = {"env": {"COLOUR": "blue"}, "cwd": tmp_path, "launcher": launcher}
    with Worker(source=source, **options) as worker:  # type: ignore[arg-type]  # each of its type
        assert ("blue", str(tmp_path)) == worker.receive(SECONDS).data


@pytest.mark.parametrize(
    ("options", "path"),
    [
        ({"worker_data": {"k": threading.Lock()}}, 'worker_data["k"]'),
        ({"argv": [1, threading.Lock()]}, "argv[1]"),
    ],
)
def test_a_note_names_the_option_that_cannot_be_packed(options: Any, path: str) -> None:
    """It is told at the call, and no process is started."""
    with pytest.raises(TypeError, match="lock") as caught:
        Worker(print, **options)
    assert caught.value.__notes__[0].startswith(f"{path} cannot be sent. ")
