"""
Tests of `webworker_executor.launch.stdio`: where the standard streams of a process lead.
"""

from __future__ import annotations

import os
import subprocess
import sys
from typing import TYPE_CHECKING, Any

import pytest

from webworker_executor.launch.stdio import Streams

if TYPE_CHECKING:
    from pathlib import Path


def run(streams: Streams, code: str) -> None:
    """
    Run a program with these streams to its end.
    """
    pid = os.posix_spawn(
        sys.executable, [sys.executable, "-S", "-c", code], os.environ, file_actions=streams.actions
    )
    streams.started()
    assert (pid, 0) == os.waitpid(pid, 0)


def test_pipes() -> None:
    """
    The host's ends are files, and the process's are closed when it has started.
    """
    streams = Streams("pipe", "pipe", subprocess.STDOUT)
    assert streams.stdin is not None
    assert streams.stdout is not None
    assert None is streams.stderr
    streams.stdin.write(b"abc")
    streams.stdin.close()
    run(streams, "import sys; print(sys.stdin.read()); print('error', file=sys.stderr)")
    assert sorted([b"abc\n", b"error\n"]) == sorted(streams.stdout.readlines())
    streams.close()


def test_files_and_descriptors(tmp_path: Path) -> None:
    """
    The caller may close his own at once.
    """
    (tmp_path / "in").write_text("from a file")
    with (tmp_path / "in").open() as source, (tmp_path / "out").open("w") as target:
        streams = Streams(source, target.fileno(), None)
    run(streams, "import sys; print(sys.stdin.read())")
    assert "from a file\n" == (tmp_path / "out").read_text()


def test_a_file_may_have_any_number(tmp_path: Path) -> None:
    """
    The first file that a program opens is descriptor 3, where a link will stand in the worker.
    """
    code = (
        "from webworker_executor import Worker\n"
        f"with open({str(tmp_path / 'log')!r}, 'w') as log:\n"
        "    assert 3 <= log.fileno() <= 5\n"
        "    with Worker(source='print(42)', stdout=log) as worker:\n"
        "        worker.ready.result(50)\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, check=False)
    assert (b"", b"") == (done.stdout, done.stderr)
    assert "42\n" == (tmp_path / "log").read_text()


def test_nothing_special() -> None:
    """
    What every launcher does needs no actions of its own.
    """
    assert True is Streams().is_default
    for options in ({"stdin": "inherit"}, {"stdout": "devnull"}):
        streams = Streams(**options)
        assert False is streams.is_default
        streams.close()


@pytest.mark.parametrize(
    ("options", "error"),
    [
        ({"stdin": "stdout"}, ValueError),
        ({"stdout": "nowhere"}, ValueError),
        ({"stdout": 3}, ValueError),
        ({"stderr": -7}, ValueError),
        ({"stderr": 1.5}, TypeError),
        ({"stdin": True}, TypeError),
        ({"stdin": "pipe", "stdout": 9_999}, OSError),
    ],
)
def test_wrong_streams(options: dict[str, Any], error: type[Exception]) -> None:
    """
    What leads nowhere is told, and nothing stays open.
    """
    with pytest.raises(error):
        Streams(**options)
