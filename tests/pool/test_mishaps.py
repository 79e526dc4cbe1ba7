"""
What is raised while something is unpacked is its own if it is raised each time; what is raised
while something is packed tells by its frames whose it is.
"""

from __future__ import annotations

import signal
from typing import TYPE_CHECKING, Any

import pytest

from webworker_executor.pool.mishaps import is_the_programs, unpack_alike
from webworker_executor.wire import codec

if TYPE_CHECKING:
    from collections.abc import Callable


def rounds(
    *kinds: type[BaseException] | None,
) -> Callable[[Callable[[BaseException], object]], int]:
    """Return what raises each of these in turn as it unpacks how often it was called."""
    left = list(kinds)

    def unpack(note: Callable[[BaseException], object]) -> int:
        kind = left.pop(0)
        if kind is not None:
            note(kind())
        return len(kinds) - len(left)

    return unpack


@pytest.mark.parametrize(
    ("first", "kinds"),
    [([], [None]), ([], [KeyError] * 2), ([KeyError], [KeyError])],
)
def test_what_is_its_own(
    first: list[type[BaseException]], kinds: list[type[BaseException] | None]
) -> None:
    """It is unpacked until it is known, and no more."""
    mishaps = [kind() for kind in first]
    assert len(kinds) == unpack_alike(rounds(*kinds), mishaps)
    assert [] == mishaps


@pytest.mark.parametrize(
    ("first", "kinds"),
    [
        ([], [OSError, None]),
        ([OSError], [None]),
        ([OSError], [KeyError, KeyError]),
        ([KeyError], [OSError, KeyError, KeyError]),
    ],
)
def test_what_is_of_somebody_else(
    first: list[type[BaseException]], kinds: list[type[BaseException] | None]
) -> None:
    """It is raised, in whichever round it came."""
    mishaps = [kind() for kind in first]
    with pytest.raises(OSError, match=r"^$"):
        unpack_alike(rounds(*kinds), mishaps)
    assert [] == mishaps


def test_what_never_does_the_same_comes_to_an_end() -> None:
    """What was raised first is raised then."""
    kinds = [KeyError, OSError, ValueError, EOFError, TypeError, LookupError]
    with pytest.raises(KeyError):
        unpack_alike(rounds(*kinds), [])


class Hooked:
    """What a call is made for when it is packed."""

    def __init__(self, call: Callable[[], object]) -> None:
        self.call = call

    def __reduce__(self) -> Any:
        self.call()
        return int, ()


def throw(error: BaseException) -> None:
    """Raise an error."""
    raise error


def is_the_programs_when_packed(call: Callable[[], object]) -> bool:
    """Tell whose is what packing raises, as a function of the package would see it."""
    see: dict[str, Any] = {"__name__": codec.__name__, "pack": codec.pack, "tell": is_the_programs}
    exec(
        "def look(value):\n"
        "    try: pack(value)\n"
        "    except BaseException as error: return tell(error)",
        see,
    )
    told: bool = see["look"](Hooked(call))
    return told


@pytest.mark.parametrize("error", [SystemExit(1), OSError()])
def test_what_a_handler_raises_is_the_programs(error: BaseException) -> None:
    """Whatever it is."""
    before = signal.signal(signal.SIGUSR1, lambda number, frame: throw(error))
    try:
        assert is_the_programs_when_packed(lambda: signal.raise_signal(signal.SIGUSR1))
    finally:
        signal.signal(signal.SIGUSR1, before)


@pytest.mark.parametrize("error", [SystemExit(1), OSError()])
def test_what_a_hook_raises_is_not(error: BaseException) -> None:
    """Whatever it is."""
    assert not is_the_programs_when_packed(lambda: throw(error))
