"""
Tests of `webworker_executor.web.waiters`: nobody who waits is forgotten.
"""

from __future__ import annotations

import threading
from functools import partial

import pytest

from tests.threads import run_together
from webworker_executor.web.waiters import Waiters


def test_each_is_woken_once() -> None:
    """
    Whoever is woken does not wait any more, and may wait again at once.
    """
    waiters, woken = Waiters(), list[str]()

    def again() -> None:
        woken.append("first")
        if len(woken) < 3:
            waiters["first"] = again

    waiters["first"] = again
    waiters["second"] = partial(woken.append, "second")
    waiters.wake()
    assert (["first", "first", "second"], {}) == (sorted(woken), waiters)
    waiters.wake()
    assert 3 == len(woken)


def test_one_that_raises_keeps_nobody_asleep() -> None:
    """
    A signal handler may, where a loop is woken.
    """
    waiters, woken = Waiters(), list[str]()

    def interrupted() -> None:
        raise KeyboardInterrupt

    waiters["first"] = partial(woken.append, "first")
    # Taken out first: it came last.
    waiters["last"] = interrupted
    with pytest.raises(KeyboardInterrupt):
        waiters.wake()
    assert (["first"], {}) == (woken, waiters)


def test_news_and_who_waits_for_it_meet() -> None:
    """
    Whichever comes first, the waiter or the news, the waiter hears of it.
    """
    for _ in range(200):
        waiters, news, heard = Waiters(), list[int](), threading.Event()

        def wait(
            waiters: Waiters = waiters, news: list[int] = news, heard: threading.Event = heard
        ) -> None:
            waiters[heard] = heard.set
            assert news or heard.wait(10.0)

        def tell(waiters: Waiters = waiters, news: list[int] = news) -> None:
            news.append(1)
            waiters.wake()

        run_together(wait, tell)
