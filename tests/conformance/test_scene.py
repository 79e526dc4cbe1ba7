"""What scenarios share: words for what calls came to."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.conformance.planted import Hanging, Lying, Refusing
from webworker_executor.conformance import scene, tasks
from webworker_executor.conformance.face import Face

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


@pytest.fixture
def face() -> Iterator[Face]:
    """A face before a pool of threads."""
    with ThreadPoolExecutor(2) as pool:
        yield Face(pool)


def test_calls_are_described(face: Face) -> None:
    """By "ok", or the exception's class, wherever it was raised."""
    assert "ok" == scene.describe(face, abs, -1)
    assert "ZeroDivisionError" == scene.describe(face, divmod, 1, 0)
    assert "pool usable" == scene.describe_pool(face)
    refusing = Face(Refusing(1))
    assert "OSError" == scene.describe(refusing, abs, -1)
    assert "pool dead" == scene.describe_pool(refusing)


def test_a_hang_is_described() -> None:
    """After the patience, and not after a multiple of it."""
    face = Face(Hanging(1))
    assert "caller hangs" == scene.describe_handle(face, face.submit(abs, -1), 0.01)
    handles = scene.submit_numbers(face, tasks.same, 100)
    assert "0 of 100" == scene.count_right(face, handles, 0.1)


def test_wrong_answers_are_not_counted(face: Face) -> None:
    """Each call is to return its own number."""
    assert "9 of 9" == scene.count_right(face, scene.submit_numbers(face, tasks.same, 9))
    lying = Face(Lying(1))
    assert "1 of 9" == scene.count_right(lying, scene.submit_numbers(lying, tasks.same, 9))
    refusing = Face(Refusing(1))
    assert "0 of 9" == scene.count_right(refusing, scene.submit_numbers(refusing, tasks.same, 9))


@given(st.lists(st.sampled_from(["ok", "ValueError", "hangs"])))
def test_words_are_counted(words: list[str]) -> None:
    """Each once, with its number, in the order of the alphabet."""
    parts = [part.split() for part in scene.count(words).split(", ") if part]
    assert sorted(words) == sorted(word for number, word in parts for _ in range(int(number)))
    assert sorted((word for _, word in parts), key=str.lower) == [word for _, word in parts]


def test_an_outcome_is_written_whole(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Whoever reads it while it is written sees nothing, and then all."""
    monkeypatch.setenv(scene.OUTCOME, str(tmp_path / "outcome"))
    scene.tell("ok")
    assert {"outcome": "ok"} == {path.name: path.read_text() for path in tmp_path.iterdir()}
