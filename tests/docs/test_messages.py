"""
The page that explains messages quotes those that there are.
"""

from __future__ import annotations

import re
from pathlib import Path

from tests.house.layout import PACKAGE

PAGE = Path(__file__).parents[2] / "docs" / "howto" / "find-out-what-went-wrong.md"
# Of Python's own making, and of the system's.
FOREIGN = {
    "cannot pickle '",
    "' object",
    "cannot pickle 'coroutine' object",
    "cannot pickle 'generator' object",
    "Too many open files",
    "Input/output error",
}


def test_messages_that_are_explained_exist() -> None:
    """
    Every part of a quoted message stands in the source, where literals are joined to one.
    """
    source = "\n".join(path.read_text() for path in sorted(PACKAGE.rglob("*.py")))
    joined = re.sub(r'["\']\s*\n\s*f?["\']', "", source)
    quoted = re.findall(r'"([^"\n]+)"', PAGE.read_text())
    parts = [part for text in quoted for part in text.split("…") if part.strip(" ,:")]
    assert len(parts) > 20
    assert [] == [part for part in parts if part.strip() not in joined and part not in FOREIGN]
