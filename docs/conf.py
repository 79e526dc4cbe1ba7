"""
How Sphinx builds these pages, offline and with every warning an error.
"""

from __future__ import annotations

import webworker_executor

project = "webworker-executor"
author = "the contributors of webworker-executor"
copyright = author
version = release = webworker_executor.__version__

extensions = ["myst_parser", "sphinx.ext.autodoc", "sphinx.ext.napoleon"]
exclude_patterns = ["_build", "examples"]
html_theme = "alabaster"
html_theme_options = {"description": "Web Workers for Python", "fixed_sidebar": True}

myst_enable_extensions = ["colon_fence", "deflist"]
myst_heading_anchors = 3

autodoc_typehints = "signature"
autodoc_member_order = "bysource"
napoleon_google_docstring = True
napoleon_numpy_docstring = False

# Nothing is fetched, so only this package's names can be checked; the rest is the standard library.
nitpick_ignore_regex = [
    (r"py:.*", r"(?!webworker_executor\b).*"),
    # What users do not name: bases and parts of what they do.
    (
        r"py:.*",
        r"webworker_executor\.web\.(messaging\.MessageTarget|receiving\.Receiver|proxy\..*)",
    ),
]
# `type` is an attribute of every event, and the builtin in many a signature.
suppress_warnings = ["ref.python"]
