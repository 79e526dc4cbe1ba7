"""
The class that is asked: where it is, what it is made with, and how to make one of it.

Not for judging. Whoever changes it must know that it is read again in every scenario's own
interpreter, where nothing but its text arrives.
"""

from __future__ import annotations

import ast
import importlib
import json
import multiprocessing
import os
from typing import TYPE_CHECKING, Any, NamedTuple

from webworker_executor.conformance.face import Face, face_of

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable
    from typing import Self

VARIABLE = "CONFORMANCE_SUBJECT"
"""The environment variable by which a scenario's program learns whom to ask."""

OURS = "webworker_executor:WebWorkerExecutor"


class Subject(NamedTuple):
    """A class, as `module:Class`, and the keyword arguments that every pool is made with."""

    target: str = OURS
    options: tuple[tuple[str, Any], ...] = ()

    @classmethod
    def parse(cls, target: str, options: Iterable[str] = ()) -> Self:
        """
        Read what stands on a command line.

        Args:
            target: `module:Class`; dots in the class lead into it.
            options: `key=value` each. A value is a Python literal, or else itself a text.

        Raises:
            ValueError: If one of them has another form.
        """
        module, colon, name = target.partition(":")
        if not (module and colon and name):
            raise ValueError(
                f"{target!r} is not of the form 'module:Class', such as "
                "'concurrent.futures:ProcessPoolExecutor'"
            )
        pairs = []
        for option in options:
            key, equals, text = option.partition("=")
            if not (equals and key.isidentifier()):
                raise ValueError(
                    f"{option!r} is not of the form 'key=value', such as 'mp_context=spawn'"
                )
            pairs.append((key, _read_literal(text)))
        return cls(target, tuple(pairs))

    @classmethod
    def here(cls) -> Self:
        """Return the subject that this scenario's program was given."""
        return cls.read(os.environ[VARIABLE])

    @classmethod
    def read(cls, text: str) -> Self:
        """Return the subject whose `text` that is."""
        target, options = json.loads(text)
        return cls(target, tuple((key, ast.literal_eval(value)) for key, value in options))

    @property
    def text(self) -> str:
        """All of it, for the environment of a program."""
        return json.dumps([self.target, [(key, repr(value)) for key, value in self.options]])

    @property
    def title(self) -> str:
        """A name for the head of a column, such as `loky:ProcessPoolExecutor timeout=3`."""
        return " ".join([self.target, *(f"{key}={value}" for key, value in self.options)])

    def find(self) -> Callable[..., Any]:
        """
        Import the class.

        Raises:
            ImportError: If there is no such module.
            AttributeError: If the module has no such class.
        """
        module, _, name = self.target.partition(":")
        found: Any = importlib.import_module(module)
        for part in name.split("."):
            found = getattr(found, part)
        return found  # type: ignore[no-any-return]  # is a class if the user says so

    def make(self, max_workers: int = 2, initializer: Callable[[], object] | None = None) -> Face:
        """
        Make a pool.

        Args:
            max_workers: How many processes; the first argument, as all pools have it.
            initializer: Is called once in each.

        Returns:
            The pool, behind the face that scenarios use.
        """
        cls = self.find()
        options = {key: _as_context(key, value) for key, value in self.options}
        # mpire takes it with each call.
        is_late = getattr(cls, "__module__", "").partition(".")[0] == "mpire"
        if initializer is None:
            return face_of(cls(max_workers, **options))
        if is_late:
            return face_of(cls(max_workers, **options), worker_init=initializer)
        return face_of(cls(max_workers, initializer=initializer, **options))


def _read_literal(text: str) -> Any:
    try:
        return ast.literal_eval(text)
    except (ValueError, SyntaxError):
        return text


def _as_context(key: str, value: Any) -> Any:
    # A context cannot be written on a command line, its start method can.
    if key in ("mp_context", "context") and isinstance(value, str):
        return multiprocessing.get_context(value)
    return value
