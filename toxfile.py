"""
Lets tox find the interpreters that pyenv keeps.

Not for anything else: what tox runs stands in ``tox.ini``. pyenv's commands on the search path
fail for every version that is not selected, so the versions themselves must stand there, behind
what the user has.
"""

from __future__ import annotations

import os
from pathlib import Path


def _add_pyenv_versions() -> None:
    root = Path(os.environ.get("PYENV_ROOT") or Path.home() / ".pyenv")
    folders = sorted(str(path) for path in root.glob("versions/3.*/bin"))
    os.environ["PATH"] = os.pathsep.join([os.environ.get("PATH", os.defpath), *folders])


_add_pyenv_versions()
