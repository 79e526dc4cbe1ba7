"""
When to try again after failed starts, and when to give up.
"""

from __future__ import annotations

from webworker_executor.rules.birth import LONGEST_DELAY, Births


def fail(births: Births, now: float, *, transient: bool = False) -> float | None:
    """Let one start fail and its alarm ring; return the time of the retry."""
    births.failed(births.n_volleys, now, transient=transient)
    retry_at, births.retry_at = births.retry_at, None
    return retry_at


def test_the_delay_doubles_up_to_a_limit() -> None:
    """Retries are spaced wider each time."""
    births = Births(attempts=99, delay=1.0, patience=10.0)
    assert [1.0, 2.0, 4.0, LONGEST_DELAY, LONGEST_DELAY] == [fail(births, 0.0) for _ in range(5)]


def test_attempts_are_bounded() -> None:
    """The third failure in a row is one too many."""
    births = Births(attempts=3, delay=0.1, patience=10.0)
    hopeless = []
    for _ in range(3):
        fail(births, 0.0)
        hopeless.append(births.is_hopeless(0.0))
    assert [False, False, True] == hopeless


def test_a_volley_is_one_attempt() -> None:
    """Workers started together fail together."""
    births = Births(attempts=2, delay=0.1, patience=10.0)
    assert [True, False, False] == [births.failed(0, 0.0, transient=False) for _ in range(3)]
    assert not births.is_hopeless(0.0)


def test_a_success_forgets_failures() -> None:
    """Failures count in a row only."""
    births = Births(attempts=2, delay=0.1, patience=10.0)
    fail(births, 0.0)
    births.forget()
    assert 1.1 == fail(births, 1.0)
    assert not births.is_hopeless(1.0)


def test_scarcity_has_its_own_patience() -> None:
    """While the system has no room, tries are not counted but time is."""
    births = Births(attempts=2, delay=1.0, patience=10.0)
    times = [0.0]
    while not births.is_hopeless(times[-1]):
        retry_at = fail(births, times[-1], transient=True)
        assert retry_at is not None
        if births.is_hopeless(times[-1]):
            break
        times.append(retry_at)
    assert [0.0, 1.0, 3.0, 7.0, 10.0] == times
