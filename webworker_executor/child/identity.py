"""
What ``multiprocessing`` is to believe about a worker, told when, and only if, it is imported.

Objects of ``multiprocessing`` that come with a task (manager proxies above all) need the host's
authentication key. Importing the package at every start for that would double the time a worker
takes to come up, so a finder waits for the import.
"""

from __future__ import annotations

import sys

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence
    from importlib.machinery import ModuleSpec
    from types import ModuleType

_MODULE = "multiprocessing.process"


class IdentityFinder:
    """A finder on ``sys.meta_path`` that steps in once, after ``multiprocessing.process``."""

    def __init__(self, name: str, authkey: bytes | None) -> None:
        self._name = name
        self._authkey = authkey

    def install(self) -> None:
        """Wait for the import, or act at once in a process that has it (a forked one)."""
        module = sys.modules.get(_MODULE)
        if module is not None:
            self._tell(module)
        else:
            sys.meta_path.insert(0, self)

    def find_spec(
        self, fullname: str, path: Sequence[str] | None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        """Find ``multiprocessing.process`` as anybody else would, and step in when it is run."""
        if fullname != _MODULE:
            return None
        sys.meta_path.remove(self)
        from importlib.util import find_spec

        spec = find_spec(fullname)
        if spec is None or spec.loader is None:
            return spec
        run = spec.loader.exec_module

        def run_and_tell(module: ModuleType) -> None:
            run(module)
            self._tell(module)

        spec.loader.exec_module = run_and_tell  # type: ignore[method-assign]  # this one loader's
        return spec

    def _tell(self, module: ModuleType) -> None:
        process = module.current_process()
        process._name = self._name
        if self._authkey is not None:
            process.authkey = self._authkey
