"""
A bar chart as SVG: one metric, a bar for each contender.

Not for curves or axes. Whoever changes this must look at it on a light and on a dark screen: the
panel brings its own background, since a picture in a page cannot know that of the page.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple
from xml.sax.saxutils import escape

if TYPE_CHECKING:
    from collections.abc import Sequence

_WIDTH = 640
_LABELS = 130
_BARS = 400
_ROW = 26
_HEAD = 62

_STYLE = """\
  <style>
    text { font: 13px system-ui, sans-serif; fill: #1f2328; }
    .title { font-size: 16px; font-weight: 600; }
    .note { fill: #59636e; }
    .label { text-anchor: end; }
    .panel { fill: #ffffff; stroke: #d1d9e0; }
    .bar { fill: #9aa4ae; }
    .ours { fill: #1a7f37; }
    @media (prefers-color-scheme: dark) {
      text { fill: #f0f6fc; }
      .note { fill: #9198a1; }
      .panel { fill: #0d1117; stroke: #3d444d; }
      .bar { fill: #656c76; }
      .ours { fill: #3fb950; }
    }
  </style>"""


class Bar(NamedTuple):
    """A bar: whose it is, how long, and the text at its end."""

    label: str
    value: float
    text: str
    is_ours: bool = False


def draw(title: str, note: str, bars: Sequence[Bar]) -> str:
    """
    Draw a chart.

    Args:
        title: What is shown.
        note: The unit, and whether long bars are good.
        bars: From top to bottom; the longest fills the width.

    Returns:
        The text of an SVG file.
    """
    height = _HEAD + _ROW * len(bars) + 10
    longest = max((bar.value for bar in bars), default=0.0) or 1.0
    lines = [
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{_WIDTH}" height="{height}" '
        f'viewBox="0 0 {_WIDTH} {height}" role="img" aria-label="{escape(title)}">',
        _STYLE,
        f'  <rect class="panel" width="{_WIDTH}" height="{height}" rx="6"/>',
        f'  <text class="title" x="16" y="28">{escape(title)}</text>',
        f'  <text class="note" x="16" y="48">{escape(note)}</text>',
    ]
    for number, bar in enumerate(bars):
        lines += _draw_bar(bar, _HEAD + _ROW * number, max(1.0, _BARS * bar.value / longest))
    return "\n".join([*lines, "</svg>\n"])


def _draw_bar(bar: Bar, top: int, length: float) -> list[str]:
    kind = "bar ours" if bar.is_ours else "bar"
    size = f'width="{length:.1f}" height="18" rx="2"'
    base = top + 17
    return [
        f'  <text class="label" x="{_LABELS - 8}" y="{base}">{escape(bar.label)}</text>',
        f'  <rect class="{kind}" x="{_LABELS}" y="{top + 4}" {size}/>',
        f'  <text x="{_LABELS + length + 8:.1f}" y="{base}">{escape(bar.text)}</text>',
    ]
