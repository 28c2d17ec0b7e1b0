"""How values of a run become HTML and Markdown: everything escaped unless it says that it already is.
Knows no section, no stage and no file; numbers in, words out.
"""

from __future__ import annotations

import html
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TypeAlias

from markupsafe import Markup

MARKDOWN_SIGNS = re.compile(r"([\\`*_\[\]|#~$!])")
CONTROLS = re.compile(r"[\x00-\x08\x0b\x0c\x0e-\x1f\x7f\u202a-\u202e\u2066-\u2069]")
NOTHING = "–"


class Html(str):
    """Text that is HTML already; `escape` leaves it as it is, and so do templates."""

    __slots__ = ()

    def __html__(self) -> str:
        return self


@dataclass(frozen=True, slots=True)
class Rich:
    """A value that looks different in HTML and in Markdown; both are escaped already."""

    html: Html
    markdown: str


Cell: TypeAlias = str | int | float | Rich | None


@dataclass(frozen=True)
class Grid:
    """Rows under a head. The first `text_columns` columns hold words, the rest numbers."""

    caption: str
    head: Sequence[str]
    rows: Sequence[Sequence[Cell]]
    text_columns: int = 1

    @property
    def html(self) -> Html:
        """A table whose first column heads its rows."""
        head = "".join(
            f'<th scope="col"{self._numeric(index)}>{escape(name)}</th>' for index, name in enumerate(self.head)
        )
        body = "".join(f"<tr>{self._cells(row)}</tr>" for row in self.rows)
        caption = f"<caption>{escape(self.caption)}</caption>"
        return Html(
            f'<div class="scroll" tabindex="0" role="region" aria-label="{escape(self.caption)}">'
            f"<table>{caption}<thead><tr>{head}</tr></thead><tbody>{body}</tbody></table></div>"
        )

    @property
    def markdown(self) -> str:
        """A pipe table under its caption."""
        marks = ["---" if index < self.text_columns else "--:" for index in range(len(self.head))]
        lines = [
            [plain(name) for name in self.head],
            marks,
            *([_markdown_cell(cell) for cell in row] for row in self.rows),
        ]
        return f"{plain(self.caption)}:\n\n" + "\n".join("| " + " | ".join(line) + " |" for line in lines)

    def _cells(self, row: Sequence[Cell]) -> str:
        first, *rest = (_html_cell(cell) for cell in row)
        others = "".join(f"<td{self._numeric(index)}>{cell}</td>" for index, cell in enumerate(rest, 1))
        return f'<th scope="row"{self._numeric(0)}>{first}</th>{others}'

    def _numeric(self, index: int) -> str:
        return "" if index < self.text_columns else ' class="n"'


def escape(value: object) -> Html:
    """Text as HTML, safe between tags and in quoted attributes; what steers or turns text is shown."""
    if isinstance(value, (Html, Markup)):
        return Html(value)
    return Html(html.escape(CONTROLS.sub("\ufffd", str(value)), quote=True))


def plain(value: object) -> str:
    """Text as Markdown on one line: no HTML, no pipes, no emphasis comes out of it."""
    text = " ".join(CONTROLS.sub("\ufffd", str(value)).split())
    return MARKDOWN_SIGNS.sub(r"\\\1", html.escape(text, quote=False))


def fenced(text: str, language: str = "") -> str:
    """Text verbatim in a Markdown fence longer than any within it."""
    longest = max((len(run) for run in re.findall(r"`+", text)), default=0)
    fence = "`" * max(3, longest + 1)
    return f"{fence}{language}\n{text}\n{fence}"


def folded(summary: str, body: Html) -> Html:
    """Something to open on demand."""
    return Html(f"<details><summary>{escape(summary)}</summary>{body}</details>")


def facts(entries: Mapping[str, Cell]) -> Html:
    """Names and values as a definition list."""
    items = "".join(
        f"<div><dt>{escape(name)}</dt><dd>{_html_cell(value)}</dd></div>" for name, value in entries.items()
    )
    return Html(f'<dl class="facts">{items}</dl>')


def facts_markdown(entries: Mapping[str, Cell]) -> str:
    """Names and values as a list."""
    return "\n".join(f"- {plain(name)}: {_markdown_cell(value)}" for name, value in entries.items())


def count(value: float | None) -> str:
    """1,234."""
    return NOTHING if value is None else f"{value:,.0f}"


def counted(number: int, noun: str) -> str:
    """1 row; 1,234 rows."""
    return f"{count(number)} {noun}" + ("" if number == 1 else "s")


def percent(value: float) -> str:
    """A share with one decimal: 81.3 %."""
    return f"{100 * value:.1f} %"


def score(value: float | None, *, share: bool) -> str:
    """A metric's value: 81.3 % where it is a share, else four digits."""
    if value is None:
        return NOTHING
    return percent(value) if share else f"{value:.4g}"


def difference(value: float | None, *, share: bool, margin: float = 0.0) -> str:
    """A difference with its sign, in points where the metric is a share: +21.0.

    More digits where fewer would take it across zero or the margin: +1.96 beside a margin of 2 points.
    """
    if value is None:
        return NOTHING
    unit, digits = (100 * value, 1) if share else (value, 4)
    edge = 100 * margin if share else margin
    most = digits + 3
    while digits < most and _crosses(unit, edge, rounded=float(f"{unit:.{digits}{'f' if share else 'g'}}")):
        digits += 1
    return _signed(f"{unit:+.{digits}{'f' if share else 'g'}}")


def interval(ends: Sequence[float] | None, *, share: bool, signed: bool = False, margin: float = 0.0) -> str:
    """Both ends, e.g. 76.1 – 85.3 %, or +15.0 to +25.1 where signed; digits as of `difference`."""
    if ends is None:
        return "no interval"
    if signed:
        return " to ".join(difference(end, share=share, margin=margin) for end in ends)
    low, high = (f"{100 * end:.1f}" if share else f"{end:.4g}" for end in ends)
    return f"{low} – {high}" + (" %" if share else "")


def p_value(value: float | None) -> str:
    """Three digits, or that it is less than 0.001."""
    if value is None:
        return NOTHING
    return "< 0.001" if value < 0.001 else f"{value:.3f}"


def duration(seconds: float | None) -> str:
    """0.42 s, 41.7 s, 1 min 33 s, 2 h 5 min."""
    if seconds is None:
        return NOTHING
    if seconds < 1:
        return f"{seconds:.2g} s"
    if seconds < 60:
        return f"{seconds:.1f} s"
    minutes, rest = divmod(round(seconds), 60)
    if minutes < 60:
        return f"{minutes} min {rest} s"
    return f"{minutes // 60} h {minutes % 60} min"


def money(value: float | None) -> str:
    """An amount with two decimals, or three digits where it is below one."""
    if value is None:
        return NOTHING
    return f"{value:,.2f}" if value >= 1 or value == 0 else f"{value:.3g}"


def _crosses(value: float, edge: float, *, rounded: float) -> bool:
    """Whether rounding takes a number onto or over zero or the edge, on either side."""
    sides = ((number > at) - (number < at) for at in (-edge, 0.0, edge) for number in (value, rounded))
    return any(true != shown for true, shown in zip(sides, sides, strict=False))


def _signed(text: str) -> str:
    if not text.strip("+-0."):
        return text.lstrip("+-")
    return text.replace("-", "\N{MINUS SIGN}")


def _html_cell(cell: Cell) -> Html:
    return cell.html if isinstance(cell, Rich) else escape(NOTHING if cell is None else cell)


def _markdown_cell(cell: Cell) -> str:
    return cell.markdown if isinstance(cell, Rich) else plain(NOTHING if cell is None else cell)
