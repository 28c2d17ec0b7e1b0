"""Pictures of the report: matplotlib drawings as inline SVG whose colours follow the page, light or dark.
Knows no run: a drawing function comes in, one string of SVG goes out, the same bytes each time.
"""

from __future__ import annotations

import io
import re
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, TypeAlias

from ftkit.report.markup import Html, escape

if TYPE_CHECKING:
    from matplotlib.figure import Figure

# What a drawing paints with; each stands for the page's CSS variable of the same name.
INK, MUTED, GRID, PROMPTING, TUNED, BAND = "#1a2b3c", "#6b7a89", "#d5dbe1", "#2a6fdb", "#d9730d", "#eef1f4"
VARIABLES = {INK: "ink", MUTED: "muted", GRID: "line", PROMPTING: "prompting", TUNED: "tuned", BAND: "band"}

SETTINGS: dict[Any, Any] = {  # some versions of matplotlib list the allowed keys as a type
    "svg.fonttype": "none",  # text stays text: a tenth of the size, and it can be read aloud and searched
    "svg.hashsalt": "ftkit",  # ids of clip paths are random otherwise
    "text.parse_math": False,  # a label may hold dollar signs
    "font.size": 9.5,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.edgecolor": GRID,
    "axes.labelcolor": MUTED,
    "axes.titlecolor": INK,
    "text.color": INK,
    "xtick.color": GRID,
    "ytick.color": GRID,
    "xtick.labelcolor": MUTED,
    "ytick.labelcolor": INK,
    "grid.color": GRID,
    "lines.linewidth": 1.8,
    "axes.axisbelow": True,
}

RIGHT, BOTTOM = 0.12, 0.46  # inches beside the last tick, and for ticks and the name of the axis
WIDTH = 5.4  # inches: the text of a picture is as large as the page's on a screen, and legible on a phone

Draw: TypeAlias = "Callable[[Figure], None]"
"""Draws on a figure that is empty."""


def picture(name: str, draw: Draw, *, height: float, label: str, left: float = 0.06, top: float = 0.06) -> Html:
    """An inline SVG of that height in inches; `label` says what it shows. `name` is unique on the page.

    `left` and `top` are inches for what stands beside and above the axes. A layout that measures them draws twice.
    """
    from matplotlib import rc_context
    from matplotlib.figure import Figure  # no pyplot: no backend, no window, no global state

    with rc_context(SETTINGS):
        figure = Figure(figsize=(WIDTH, height))
        figure.subplots_adjust(
            left=left / WIDTH, right=1 - RIGHT / WIDTH, bottom=BOTTOM / height, top=1 - top / height, hspace=0.3
        )
        draw(figure)
        buffer = io.StringIO()
        nothing = dict.fromkeys(("Date", "Creator", "Format", "Type"))
        figure.savefig(buffer, format="svg", transparent=True, metadata=nothing)
    return Html(f"<figure>{_inline(buffer.getvalue(), name=name, label=label)}</figure>")


def _inline(svg: str, *, name: str, label: str) -> str:
    """The bare element, its ids made unique on the page and its colours left to the page."""
    svg = svg[svg.index("<svg") :].strip()
    svg = re.sub(r"<!--.*?-->\s*", "", svg, flags=re.DOTALL)
    for element in ("metadata", "style"):  # a style in an inline picture would hold for the whole page
        svg = re.sub(rf"<{element}\b[^>]*>.*?</{element}>\s*", "", svg, flags=re.DOTALL)
    svg = re.sub(r'(\bid="|="#|url\(#)', rf"\g<1>{name}-", svg)
    for colour, variable in VARIABLES.items():
        svg = svg.replace(f": {colour}", f": var(--{variable})")
    described = f'<svg role="img" aria-label="{escape(label)}" '
    return re.sub(r"\n\s*", "\n", svg).replace("<svg ", described, 1)
