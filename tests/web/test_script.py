"""
Tests of `webworker_executor.web.script`: what a worker is to run, as its maker says it.
"""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from webworker_executor.web.script import make_script

if TYPE_CHECKING:
    from collections.abc import Callable


def test_paths(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """
    A path is absolute from here on; a query and a fragment belong to the address.
    """
    monkeypatch.chdir(tmp_path)
    path = str(tmp_path / "a b.py")
    href = f"file://{tmp_path}/a%20b.py"
    for given in (
        "a b.py",
        Path("a b.py"),
        path,
        href,
        href.replace("file://", "file://localhost"),
    ):
        script = make_script(given, None, None, ["x"])
        assert ("path", path, href, (path, "x")) == (
            script.kind,
            script.path,
            script.href,
            script.argv,
        )
    script = make_script("a b.py?x=1#h", None, None, ())
    assert (path, f"{href}?x=1#h") == (script.path, script.href)


def test_a_file_that_is_called_like_that(tmp_path: Path) -> None:
    """
    What exists under the whole name is that file, and a ``Path`` is never taken apart.
    """
    path = tmp_path / "what?.py"
    assert str(path) == make_script(path, None, None, ()).path
    path.write_text("")
    assert str(path) == make_script(str(path), None, None, ()).path


def test_texts_are_numbered() -> None:
    """
    Each text has a name of its own, for tracebacks.
    """
    one, other = (make_script(None, "x = 1", None, ()) for _ in range(2))
    assert one.filename != other.filename
    assert one.filename.startswith("<worker:")
    assert one.title == one.filename == one.argv[0]


def test_modules_and_callables() -> None:
    """
    Each is known by its name; a callable's arguments are any values.
    """
    module = make_script(None, None, "package.module", ["a"])
    assert ("module", "package.module") == (module.kind, module.title)
    fn = make_script(print, None, None, [1, {}])
    assert ("callable", "print", (print, (1, {}))) == (fn.kind, fn.title, fn.call)
    assert tuple(sys.argv) == fn.argv
    assert "call" not in fn.described()


@pytest.mark.parametrize(
    ("script", "error", "text"),
    [
        (5, TypeError, "a path, a file: URL or a callable"),
        ("", ValueError, "empty"),
        ("http://example.org/w.py", ValueError, "cannot be loaded"),
        ("file://elsewhere/w.py", ValueError, "another machine"),
    ],
)
def test_what_is_no_script(script: Any, error: type[Exception], text: str) -> None:
    """
    It is told at once what a script is.
    """
    with pytest.raises(error, match=text):
        make_script(script, None, None, ())


@pytest.mark.parametrize("make", [lambda: make_script(b"w.py", None, None, ())])
def test_paths_of_bytes(make: Callable[[], object]) -> None:
    """
    Only an ``os.PathLike`` may give bytes.
    """
    with pytest.raises(TypeError):
        make()
