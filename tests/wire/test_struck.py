"""
What a signal handler has raised is told by the frames.
"""

from __future__ import annotations

import signal
from typing import TYPE_CHECKING

import pytest

from webworker_executor.wire.struck import frames_of, is_a_handlers

if TYPE_CHECKING:
    from collections.abc import Callable


def throw(error: BaseException) -> None:
    """Raise an error."""
    raise error


def caught(call: Callable[[], object]) -> BaseException:
    """Return what a call raises."""
    with pytest.raises(BaseException, match=r"mine") as info:
        call()
    return info.value


@pytest.mark.parametrize("error", [SystemExit, OSError])
@pytest.mark.parametrize(
    "make",
    [
        lambda error: lambda number, frame: throw(error),
        lambda error: lambda *_, again=True: throw(error),
        lambda error: lambda number, *_: throw(error),
    ],
)
def test_what_a_handler_raises_is_the_handlers(
    make: Callable[[BaseException], Callable[..., None]], error: type[BaseException]
) -> None:
    """However the handler takes what it is given, and how deep ever it raises."""
    before = signal.signal(signal.SIGUSR1, make(error("mine")))
    try:
        raised = caught(lambda: signal.raise_signal(signal.SIGUSR1))
    finally:
        signal.signal(signal.SIGUSR1, before)
    assert is_a_handlers(raised)
    assert "throw" == frames_of(raised)[-1].f_code.co_name


def test_what_others_raise_is_not() -> None:
    """Nor what was never raised."""
    assert not is_a_handlers(caught(lambda: throw(SystemExit("mine"))))
    assert not is_a_handlers(SystemExit())
