"""
Steps are pure but for their lock: events, re-entrance and tears are tried without processes.
"""

from __future__ import annotations

import threading

import pytest

from webworker_executor.pool.steps import Steps


class Log:
    """
    Steps that write down what happens.
    """

    def __init__(self) -> None:
        self.lines: list[str] = []
        self.steps: Steps[str] = Steps(
            lambda: self.lines.append("recover"),
            lambda: self.lines.append("retry"),
        )
        self.steps.perform = lambda outcome: self.lines.append(f"perform {outcome}")

    def note(self, name: str) -> str:
        self.lines.append(f"event {name}")
        return name

    def quiet(self, name: str) -> str:
        self.lines.append(f"event {name}")
        return ""

    def nest(self, name: str) -> str:
        self.steps.bring(self.note, "inner")
        return self.note(name)


def fail() -> str:
    raise KeyboardInterrupt


def test_an_event_is_applied_and_performed_at_once() -> None:
    """
    Who brings an event finds it done when the call returns.
    """
    log = Log()
    log.steps.bring(log.note, "a")
    assert ["event a", "perform a"] == log.lines
    assert 0 == len(log.steps.inbox)


def test_nothing_is_performed_for_an_event_without_outcome() -> None:
    """
    An event that asks for nothing costs no call.
    """
    log = Log()
    log.steps.bring(log.quiet, "a")
    assert ["event a"] == log.lines


def test_an_event_brought_during_a_step_comes_after_it() -> None:
    """
    A signal handler that comes back in leaves its event to the outer call.
    """
    log = Log()
    log.steps.bring(log.nest, "outer")
    assert ["event outer", "perform outer", "event inner", "perform inner"] == log.lines


def test_a_torn_step_asks_to_be_retried_and_keeps_its_event() -> None:
    """
    An exception out of the middle of a step loses no event.
    """
    log = Log()
    with pytest.raises(KeyboardInterrupt):
        log.steps.bring(fail)
    assert ["retry"] == log.lines
    assert [(fail, ())] == list(log.steps.inbox)


def test_recovery_comes_before_anything_else_after_a_tear() -> None:
    """
    After a torn step nothing is believed until all was put in order.
    """
    log = Log()
    fails = iter([True])

    def fail_once() -> str:
        if next(fails, False):
            raise KeyboardInterrupt
        return log.note("again")

    with pytest.raises(KeyboardInterrupt):
        log.steps.bring(fail_once)
    log.steps.bring(log.note, "next")
    expected = ["retry", "recover", "event again", "perform again", "event next", "perform next"]
    assert expected == log.lines


def test_recovery_happens_once_for_one_tear() -> None:
    """
    A pool that was put in order is trusted again.
    """
    log = Log()
    log.steps.tear()
    log.steps.run()
    log.steps.run()
    assert ["retry", "recover"] == log.lines


def test_a_recovery_that_is_torn_is_made_again() -> None:
    """
    A signal handler may also raise while things are put in order.
    """
    outcomes = iter([KeyboardInterrupt(), None])
    retries: list[None] = []

    def recover() -> None:
        outcome = next(outcomes)
        if outcome is not None:
            raise outcome

    steps: Steps[str] = Steps(recover, lambda: retries.append(None))
    steps.tear()
    with pytest.raises(KeyboardInterrupt):
        steps.run()
    steps.run()
    assert 2 == len(retries)
    assert next(outcomes, "both were used") == "both were used"


def test_an_event_that_fails_twice_is_given_up() -> None:
    """
    A mistake of our own must not keep the pool busy for ever.
    """
    log = Log()
    for _ in range(2):
        with pytest.raises(KeyboardInterrupt):
            log.steps.bring(fail) if not log.steps.inbox else log.steps.run()
    log.steps.run()
    log.steps.bring(log.note, "next")
    assert ["event next", "perform next"] == log.lines[-2:]


def test_events_of_many_threads_are_applied_one_at_a_time() -> None:
    """
    No two steps overlap, and none is lost.
    """
    inside = threading.Semaphore(1)
    counts: list[int] = []

    def event(number: int) -> str:
        assert inside.acquire(blocking=False)
        counts.append(number)
        inside.release()
        return ""

    steps: Steps[str] = Steps(lambda: None, lambda: None)

    def bring_all() -> None:
        for number in range(200):
            steps.bring(event, number)

    threads = [threading.Thread(target=bring_all) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted([*range(200)] * 4) == sorted(counts)


def test_a_forked_copy_has_a_lock_of_its_own() -> None:
    """
    A lock that another thread held at the fork blocks nobody in the copy.
    """
    log = Log()
    held = threading.Event()
    go_on = threading.Event()

    def hold() -> None:
        with log.steps.lock:
            held.set()
            go_on.wait(10.0)

    thread = threading.Thread(target=hold)
    thread.start()
    held.wait(10.0)
    log.steps.inbox.append((log.note, ("of the parent",)))
    log.steps.reset_after_fork()
    log.steps.bring(log.note, "a")
    go_on.set()
    thread.join()
    assert ["event a", "perform a"] == log.lines


def test_it_is_known_whether_this_thread_is_in_the_middle_of_a_step() -> None:
    """
    What must wait for another thread asks first: inside a step it would wait for ever.
    """
    seen: list[bool] = []
    steps = Steps[object](lambda: None, lambda: None)
    steps.bring(lambda: seen.append(steps.is_held_here))
    assert [True] == seen
    assert not steps.is_held_here
