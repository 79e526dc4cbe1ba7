"""
Tests of `webworker_executor.launch.limits`: what a process may use, and whose it is.
"""

from __future__ import annotations

import os
import pwd
import resource
from typing import Any

import pytest

from webworker_executor.launch.limits import Limits, check_env, settings


def settings_with(**changes: Any) -> dict[str, Any]:
    options: dict[str, Any] = {"cwd": None, "limits": None, "nice": 0, "user": None, "group": None}
    return dict(settings(**{**options, **changes}))


def test_nothing_asked_for() -> None:
    """
    Without limits the kernel is asked for nothing.
    """
    assert {} == Limits().rlimits()
    asked = settings_with()
    nothing = {"rlimits": {}, "nice": 0, "session": False}
    assert nothing == {name: asked.pop(name) for name in nothing}
    assert {None} == set(asked.values())


def test_limits_of_the_kernel() -> None:
    """
    Each limit has its resource; processor time leaves a second to say what happened.
    """
    limits = Limits(1, 2, 3, 4, 5, 6, 7)
    assert {
        resource.RLIMIT_AS: (1, 1),
        resource.RLIMIT_CPU: (2, 3),
        resource.RLIMIT_NOFILE: (3, 3),
        resource.RLIMIT_NPROC: (4, 4),
        resource.RLIMIT_FSIZE: (5, 5),
        resource.RLIMIT_CORE: (6, 6),
        resource.RLIMIT_STACK: (7, 7),
    } == limits.rlimits()
    assert limits.rlimits() == settings_with(limits=limits)["rlimits"]


@pytest.mark.parametrize(
    ("value", "error"), [("1", TypeError), (1.5, TypeError), (True, TypeError), (-1, ValueError)]
)
def test_wrong_limits(value: Any, error: type[Exception]) -> None:
    """
    A limit is a whole number from 0.
    """
    with pytest.raises(error, match="open_files"):
        Limits(open_files=value)


def test_a_user_by_name_and_by_number() -> None:
    """
    A user brings his groups along; a number without an entry has none, and needs a group named.
    """
    entry = pwd.getpwuid(os.getuid())
    expected = (entry.pw_uid, entry.pw_gid, os.getgrouplist(entry.pw_name, entry.pw_gid))
    for user in (entry.pw_name, entry.pw_uid):
        asked = settings_with(user=user)
        assert expected == (asked["uid"], asked["gid"], asked["groups"])
    asked = settings_with(user=123_456_789, group=987_654)
    assert (123_456_789, 987_654, [987_654]) == (asked["uid"], asked["gid"], asked["groups"])
    with pytest.raises(ValueError, match="keep the group of this one: name a group"):
        settings_with(user=123_456_789)


def test_a_group_replaces_those_of_the_user() -> None:
    """
    Whoever names a group gets that one alone.
    """
    asked = settings_with(user=os.getuid(), group=987_654)
    assert (987_654, [987_654]) == (asked["gid"], asked["groups"])


@pytest.mark.parametrize(
    ("changes", "error"),
    [
        ({"user": "nobody-at-all"}, ValueError),
        ({"user": -1}, ValueError),
        ({"user": 1.5}, TypeError),
        ({"group": True}, TypeError),
        ({"nice": "1"}, TypeError),
        ({"limits": 5}, TypeError),
        ({"umask": "x"}, TypeError),
        ({"umask": True}, TypeError),
        ({"umask": -1}, ValueError),
        ({"umask": 0o1000}, ValueError),
    ],
)
def test_wrong_settings(changes: dict[str, Any], error: type[Exception]) -> None:
    """
    What cannot be looked up is told at once.
    """
    with pytest.raises(error):
        settings_with(**changes)


@pytest.mark.parametrize(
    ("value", "error", "text"),
    [
        ("01", TypeError, "numbers of processors"),
        (0, TypeError, "numbers of processors"),
        ([0.0], TypeError, "0.0 is none"),
        ([True], TypeError, "True is none"),
        ([], ValueError, "leaves no processor"),
        ([100_000], ValueError, "this program may use"),
    ],
)
def test_wrong_processors(value: Any, error: type[Exception], text: str) -> None:
    """
    At least one of them must be there, or the kernel would refuse the start.
    """
    with pytest.raises(error, match=text):
        settings_with(cpu_affinity=value)


@pytest.mark.parametrize("env", [None, {}, {"A": "", "B b": "x=y"}, os.environ])
def test_an_environment(env: Any) -> None:
    """
    Any texts will do as far as the kernel goes.
    """
    check_env(env)


@pytest.mark.parametrize(
    ("env", "error", "text"),
    [
        (5, TypeError, "mapping of strings, not int"),
        ({1: "A"}, TypeError, "texts as its keys, not 1$"),
        ({"A": 1}, TypeError, r"^env\['A'\] must be a text, not 1; use str\(\)$"),
        ({"A": None}, TypeError, r"^env\['A'\] must be a text, not None"),
        ({"": "x"}, ValueError, "a variable called ''"),
        ({"A=B": "x"}, ValueError, "a variable called 'A=B'"),
        ({"A\0": "x"}, ValueError, "a variable called"),
        ({"A": "x\0"}, ValueError, "a null character"),
    ],
)
def test_what_no_process_can_be_started_with(env: Any, error: type[Exception], text: str) -> None:
    """
    It is told at the call, and not by a worker that never comes up.
    """
    with pytest.raises(error, match=text):
        check_env(env)
