"""
Tests of `webworker_executor.web.profile`: what a way of speaking with a process must provide.
"""

from __future__ import annotations

import pytest

from webworker_executor.web.native import NativeLife
from webworker_executor.web.profile import Profile
from webworker_executor.web.raw import RawLife

STEPS = ("_launch", "_ask_to_close", "_let_go", "_drain", "_close_links", "_disown_links")


@pytest.mark.parametrize("step", STEPS)
def test_every_profile_has_every_step(step: str) -> None:
    """
    Nothing is forgotten that the life of a process counts on.
    """
    with pytest.raises(NotImplementedError):
        getattr(Profile(), step)()
    for profile in (NativeLife, RawLife):
        assert getattr(profile, step) is not getattr(Profile, step)


def test_a_launcher_is_no_must() -> None:
    """
    Where nothing is kept, it is given back at once.
    """
    done: list[int] = []
    Profile()._close_launcher(lambda: done.append(1))
    assert [1] == done
