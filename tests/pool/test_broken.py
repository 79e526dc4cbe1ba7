"""
The words for what goes wrong: what happened, why, and what to do.
"""

from __future__ import annotations

import pytest

from webworker_executor import BrokenWorkerPool
from webworker_executor.pool import broken
from webworker_executor.pool.broken import Breakage


def test_a_crash_tells_everything() -> None:
    """
    Who, how, while running what, the likeliest cause, and what it means for the rest.
    """
    error = broken.crashed(1, 4711, -9, "images.resize")
    assert (
        "worker 1 (pid 4711) was killed by SIGKILL while running images.resize. That is often the "
        "kernel's out-of-memory killer; see dmesg. Use fewer workers or smaller inputs. Only this "
        "task failed; a new worker takes the place."
    ) == str(error)
    attributes = (error.pid, error.exitcode, error.signal_name, error.task)
    assert (4711, -9, "SIGKILL", "images.resize") == attributes


def test_a_chunk_is_told_from_a_task() -> None:
    """
    All its calls are lost, whatever has become of them; and it is said how to have it otherwise.
    """
    error = broken.crashed(1, 4711, -9, "images.resize", n_calls=32)
    assert "while running a chunk of 32 calls of images.resize. That is often" in str(error)
    assert str(error).endswith(
        "Only this chunk failed, and with it those of its calls that were done, and those that had "
        "not begun: how many is not known. With chunksize=1, map() makes a task of each call. A "
        "new worker takes the place."
    )
    assert "images.resize" == error.task
    last = broken.crashed(1, 4711, -9, "f", n_calls=2, outcome=broken.POOL_BROKE)
    assert "a chunk of 2 calls of f" in str(last)
    assert "Only this" not in str(last)


def test_a_worker_we_killed_is_no_riddle() -> None:
    """
    Where we know why, nothing is guessed.
    """
    error = broken.crashed(0, 1, -9, "f", "it wrote what is no frame (no frame: b'')")
    assert "It was killed because it wrote what is no frame (no frame: b'')." in str(error)
    assert "out-of-memory" not in str(error)


def test_an_abort_says_why() -> None:
    """
    With the reason, if there is one.
    """
    assert "f was aborted" == str(broken.aborted("f", None))
    assert "f was aborted: too slow" == str(broken.aborted("f", "too slow"))
    assert 7 == broken.aborted("f", 7).reason


class Mute:
    """What has no text of its own."""

    def __repr__(self) -> str:
        raise ZeroDivisionError


def test_an_abort_for_a_reason_without_a_text_says_of_what_type_it_is() -> None:
    """
    Nothing is raised in the place of the error.
    """
    error = broken.aborted("f", reason := Mute())
    assert "f was aborted: <Mute object that cannot be shown>" == str(error)
    assert reason is error.reason


def test_a_whole_pool_is_not_broken() -> None:
    """
    Nothing is wrong until something is noted.
    """
    assert not Breakage(on_crash=False).is_broken


def test_the_first_reason_counts() -> None:
    """
    What follows from it is not the cause.
    """
    breakage = Breakage(on_crash=False)
    cause = ValueError()
    breakage.note("first", lambda: cause)
    breakage.note("second", lambda: None)
    breakage.note_action(by_worker=True)
    for error in (breakage.error_of_submit(), breakage.error_of_task()):
        assert "first" == str(error)
        assert cause is error.__cause__


def test_workers_that_cannot_start_are_the_cause() -> None:
    """
    The last error of a start stands behind the task's, and the pool is whole.
    """
    breakage = Breakage(on_crash=False)
    breakage.last_error = OSError("no room")
    error = breakage.error_of_start()
    assert f"{broken.CANNOT_START}: OSError: no room" == str(error)
    assert breakage.last_error is error.__cause__
    assert not breakage.is_broken


def test_a_crash_in_the_standard_librarys_way_has_its_words() -> None:
    """
    Programs look for them.
    """
    breakage = Breakage(on_crash=True)
    breakage.note_action(by_worker=True)
    assert broken.SUBMIT_TO_BROKEN == str(breakage.error_of_submit())
    assert broken.PENDING_IN_BROKEN == str(breakage.error_of_task())


def test_an_initializer_that_fails_has_the_standard_librarys_words_in_its_way() -> None:
    """
    There, what it raised is behind them; elsewhere it is in the text as well.
    """
    cause = ValueError("no licence")
    for on_crash in (True, False):
        breakage = Breakage(on_crash=on_crash)
        breakage.note(broken.INITIALIZER_FAILED, lambda: cause)
        errors = (breakage.error_of_submit(), breakage.error_of_task())
        assert [cause, cause] == [error.__cause__ for error in errors]
        words = f"{broken.INITIALIZER_FAILED}: ValueError: no licence"
        ours, theirs = (words, words), (broken.SUBMIT_TO_BROKEN, broken.PENDING_IN_BROKEN)
        assert (theirs if on_crash else ours) == tuple(map(str, errors))


def test_a_crash_in_the_standard_librarys_way_has_a_cause() -> None:
    """
    The words are the stdlib's; who died and how is behind them.
    """
    breakage = Breakage(on_crash=True)
    breakage.last_error = broken.crashed(0, 1, -9, "f", outcome=broken.POOL_BROKE)
    breakage.note_action(by_worker=True)
    for error in (breakage.error_of_submit(), breakage.error_of_task()):
        assert breakage.last_error is error.__cause__
    assert "Only this task" not in str(breakage.last_error)


@pytest.mark.parametrize(
    ("exitcode", "hint"),
    [
        (3, "The task ended its own process, or C code in it did."),
        (-1, "Somebody sent it that signal, maybe the task itself."),
        (-63, "Somebody sent it that signal, maybe the task itself."),
        (-24, "It has used the processor time that a limit allows."),
    ],
)
def test_the_likeliest_cause_fits_the_end(exitcode: int, hint: str) -> None:
    """
    Of a status it is the task; of a signal, who sends such ones.
    """
    assert hint in str(broken.crashed(0, 1, exitcode, "f"))


def test_a_death_while_idle_names_no_task() -> None:
    """
    There was none.
    """
    assert "was killed by SIGKILL while it was idle. " in str(broken.crashed(0, 1, -9, ""))


def test_each_future_has_its_own_error() -> None:
    """
    Tracebacks of different tasks are not mixed.
    """
    breakage = Breakage(on_crash=True)
    breakage.note_action(by_worker=False)
    first, second = breakage.error_of_task(), breakage.error_of_task()
    assert isinstance(first, BrokenWorkerPool)
    assert first is not second
