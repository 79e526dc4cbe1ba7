"""
Tests of `webworker_executor.web.request_ident`: whose a message is that cannot be read to its end.
"""

from __future__ import annotations

import pickle

import pytest

from tests.pool.work import Unopenable
from webworker_executor.web.request_ident import RequestIdent, take_ident


def test_the_number_is_known_though_the_rest_fails() -> None:
    """It stands in front, and is read before what fails."""
    with pytest.raises(ValueError, match="no number"):
        pickle.loads(pickle.dumps((RequestIdent(7), Unopenable())))
    assert 7 == take_ident()


def test_a_number_is_taken_once() -> None:
    """What fails before its number has none, and not that of the message before it."""
    pickle.loads(pickle.dumps((RequestIdent(7), "text")))
    assert 7 == take_ident()
    with pytest.raises(ValueError, match="no number"):
        pickle.loads(pickle.dumps((Unopenable(), RequestIdent(8))))
    assert take_ident() is None
