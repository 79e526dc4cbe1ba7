"""
What is raised while something is unpacked is its own if it is raised each time.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from webworker_executor.pool.mishaps import unpack_alike

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
