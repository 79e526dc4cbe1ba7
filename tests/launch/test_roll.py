"""
Of a process that does not answer, it is said why.
"""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest

from webworker_executor.launch import procfs, roll


@pytest.mark.parametrize(
    ("pid", "is_alive", "state", "has_witness", "why"),
    [
        (None, False, None, False, "it is being created"),
        (7, False, None, True, "it has ended"),
        (7, True, None, True, "it has ended"),
        (7, True, "T", True, "it is stopped by a signal such as SIGSTOP; it goes on after SIGCONT"),
        (7, True, "S", False, "it is not of Python, or no descriptor was left for its answer when"),
        (7, True, "D", True, "none came in 0.5 s; the kernel calls its state D"),
    ],
)
def test_silence_is_explained(
    monkeypatch: pytest.MonkeyPatch,
    pid: int | None,
    is_alive: bool,
    state: str | None,
    has_witness: bool,
    why: str,
) -> None:
    """
    As far as it can be seen from outside.
    """
    monkeypatch.setattr(procfs, "state_of", lambda _: state)
    child = None if pid is None else SimpleNamespace(is_alive=lambda: is_alive)
    process: Any = SimpleNamespace(pid=pid, child=child, witness=object() if has_witness else None)
    assert roll.silence(process, 0.5).startswith(f"  <no answer: {why}")


class Unborn:
    """
    A process that is still to come.
    """

    pid = child = witness = None


def test_nobody_is_asked_in_vain() -> None:
    """
    Of a process without a witness the answer is there at once.
    """
    process: Any = Unborn()
    assert {process: ""} == roll.ask([process], 10.0, lambda call: call())
