"""
Tests of `webworker_executor.wire.surrogate`: a stand-in says all that is known, also to its like.
"""

from __future__ import annotations

import pickle

from webworker_executor.wire.surrogate import LeftBehind, RemoteError


def test_remote_error_says_it_all() -> None:
    """
    The text of a surrogate names the original's class, text, notes and why it did not come.
    """
    exc = RemoteError("mod.Odd", "text", ["note"], "Traceback ...", "ImportError: mod", (1,))
    expected = (
        "mod.Odd: text\nnote\n(The worker's exception could not be rebuilt here: ImportError: mod)"
    )
    assert expected == str(exc)


def test_remote_error_without_text_shows_the_arguments() -> None:
    """
    Where the original has no text, its arguments stand in the place of it.
    """
    assert "mod.Odd: 1, 'a'" == str(RemoteError("mod.Odd", original_args=(1, "a")))
    assert "mod.Odd" == str(RemoteError("mod.Odd"))


def test_surrogates_are_pickled_as_any_exception() -> None:
    """
    Both stand-ins cross again, by any pickler.
    """
    left = LeftBehind("mod.Lock", "<lock>", "TypeError: no")
    exc = RemoteError("mod.Odd", "text", ("note",), "Traceback", "why", (left,))
    arrived = pickle.loads(pickle.dumps(exc))
    assert str(exc) == str(arrived)
    assert ("note",) == arrived.notes
    [again] = arrived.original_args
    assert ("mod.Lock", "<lock>", "TypeError: no") == (again.type_name, again.text, again.reason)
    assert "<left behind in the worker: <lock> (TypeError: no)>" == repr(again)
