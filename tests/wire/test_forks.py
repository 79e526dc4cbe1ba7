"""
Tests of `webworker_executor.wire.forks`: packing knows for whom it is.
"""

from __future__ import annotations

import contextlib
import sys
import threading
from typing import TYPE_CHECKING, Any

import pytest

from webworker_executor.wire import variable
from webworker_executor.wire.forks import (
    Forks,
    forget_the_dead,
    inherited,
    inherited_ident,
    is_packing_for_forks,
    noted,
    number,
    packing_for_forks,
)

if TYPE_CHECKING:
    from types import FrameType


def test_it_holds_for_the_call_and_what_it_calls() -> None:
    """
    Not for other threads, and not afterwards, whatever it raises.
    """

    def pack(n_deeper: int) -> list[bool]:
        elsewhere: list[bool] = []
        thread = threading.Thread(target=lambda: elsewhere.append(is_packing_for_forks()))
        thread.start()
        thread.join()
        deeper = packing_for_forks(pack, n_deeper - 1) if n_deeper else []
        return [*deeper, is_packing_for_forks(), *elsewhere]

    assert [True, False, True, False] == packing_for_forks(pack, 1)
    with pytest.raises(ZeroDivisionError):
        packing_for_forks(divmod, 1, 0)
    assert not is_packing_for_forks()


@pytest.mark.parametrize("n_lines", range(5))
def test_an_interruption_leaves_nothing_behind(n_lines: int) -> None:
    """
    At whatever line a signal handler raises.
    """
    n_left = n_lines

    def interrupt(frame: FrameType, event: str, _: object) -> Any:
        nonlocal n_left
        if frame.f_code is packing_for_forks.__code__ and event == "line":
            if not n_left:
                raise KeyboardInterrupt
            n_left -= 1
        return interrupt

    before = sys.gettrace()
    sys.settrace(interrupt)
    try:
        with contextlib.suppress(KeyboardInterrupt):
            packing_for_forks(divmod, 1, 1)
    finally:
        sys.settrace(before)
    assert not is_packing_for_forks()


def test_calls_do_not_take_it_along() -> None:
    """
    It is no context variable of a user.
    """
    assert packing_for_forks(variable.capture) is None


class Thing:
    """
    Something that can be referred to weakly.
    """


def test_a_thing_has_one_number_while_it_is_there() -> None:
    """
    And nobody has it afterwards.
    """
    thing, other = Thing(), Thing()
    ident = number(thing)
    assert ident == number(thing) != number(other)
    assert inherited(ident) is thing
    del thing
    forget_the_dead()
    with pytest.raises(LookupError, match="was gone before this worker was forked"):
        inherited(ident)
    assert number(Thing()) != ident


def test_what_was_numbered_before_the_first_fork_is_inherited() -> None:
    """
    Whoever asks before that, numbers it, and it is kept until then.
    """
    forks = Forks()
    thing, late = Thing(), Thing()
    assert inherited_ident(thing) is None
    ident = packing_for_forks(inherited_ident, thing, forks=forks)
    assert {ident: thing} == forks.awaited
    forks.begin()
    assert ident == packing_for_forks(inherited_ident, thing, forks=forks)
    assert packing_for_forks(inherited_ident, late, forks=forks) is None
    # Not known to have been forked after that.
    assert packing_for_forks(inherited_ident, thing) is None


def test_what_is_noted_is_of_one_packing() -> None:
    """
    Outside of any there is nothing.
    """

    def pack() -> bool:
        noted()[0] = "one", "its place"
        return 0 in noted() and packing_for_forks(noted) == {}

    assert packing_for_forks(pack)
    assert {} == noted()
