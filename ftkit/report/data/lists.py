"""Folded lists of rows and of pairs for the data report, and the numbers that link to them; all of it escaped.

Knows no finding: it is given ids, and the rows they belong to.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import NotRequired, TypeAlias, TypedDict

from ftkit.report.data.duplicates import Run, compared, left_out
from ftkit.report.data.prepared_rows import ShownRow
from ftkit.report.markup import Html, count, escape, folded

Entry: TypeAlias = tuple[str, str]
"""The id of a row, and what is said about it."""

SHOWN_CHARS = 300  # of a text in a list
NAME_CHARS = 60  # of a label or a group in a table


class TwoRows(TypedDict):
    """Ids of a row and of the one it gave way to or repeats, as `data.json` has them."""

    id: str
    kept_id: str
    reason: NotRequired[str | None]
    score: NotRequired[float | None]


class Lists:
    """Lists of one page. `flush` gives those that were asked for since the last time, so that they follow the numbers
    they belong to. `texts` has the rows by id.
    """

    def __init__(self, texts: Mapping[str, ShownRow]) -> None:
        self._texts = texts
        self._waiting: list[Html] = []
        self._num_lists = 0

    def number(self, total: int, title: str, entries: Sequence[Entry]) -> Html:
        """A number that links to its own list of rows; without rows to show it is only a number."""
        return self.numbers(f"{title}: {_of(total, len(entries))}", [(count(total), entries)])[0]

    def numbers(self, title: str, numbers: Sequence[tuple[str, Sequence[Entry]]]) -> list[Html]:
        """Numbers that share a list: each links to the first of its own rows there."""
        if not any(entries for _, entries in numbers):
            return [escape(text) for text, _ in numbers]
        anchor = self._next_anchor()
        links, rows = [], []
        for place, (text, entries) in enumerate(numbers):
            own = f"{anchor}-{place}"
            links.append(_link(text, own) if entries else escape(text))
            for name, note in entries:
                rows.append(self._row(name, note, own))
                own = ""  # an anchor stands on the page once
        head = "".join(f'<th scope="col">{name}</th>' for name in ("id", "where", "input", "target", ""))
        table = Html(
            f'<div class="scroll" tabindex="0" role="region" aria-label="{escape(title)}"><table class="rows">'
            f"<thead><tr>{head}</tr></thead><tbody>{''.join(rows)}</tbody></table></div>"
        )
        self._waiting.append(folded(title, table))
        return links

    def pairs(self, total: int, title: str, pairs: Sequence[TwoRows]) -> Html:
        """A number that links to pairs side by side."""
        if not pairs:
            return escape(count(total))
        anchor = self._next_anchor()
        body = "".join(self._pair(pair) for pair in pairs)
        whole = f"{title}: {_of(total, len(pairs), 'pairs')}"
        self._waiting.append(folded(whole, Html(f'<div class="pairs" id="{anchor}">{body}</div>')))
        return _link(count(total), anchor)

    def flush(self) -> Html:
        """The lists asked for since the last call, folded under one line."""
        waiting, self._waiting = self._waiting, []
        if not waiting:
            return Html("")
        title = "The rows behind these numbers" if len(waiting) > 1 else "The rows behind this number"
        return Html(f'<div class="lists">{folded(title, Html("".join(waiting)))}</div>')

    def _next_anchor(self) -> str:
        self._num_lists += 1
        return f"rows-{self._num_lists}"

    def _row(self, name: str, note: str, anchor: str) -> str:
        row = self._texts.get(name)
        cells = ["", "", ""]
        if row:
            cells = [escape(row.where), _text(row.input, row.num_input_chars), _target(row)]
        identity = f' id="{anchor}"' if anchor else ""
        columns = "".join(f'<td dir="auto">{cell}</td>' for cell in (*cells, escape(note)))
        return f'<tr{identity}><th scope="row" dir="auto">{escape(name)}</th>{columns}</tr>'

    def _pair(self, pair: TwoRows) -> str:
        one, other = self._texts.get(pair["id"]), self._texts.get(pair["kept_id"])
        runs = compared(one.input if one else "", other.input if other else "")
        sides = zip((pair["id"], pair["kept_id"]), (one, other), runs, strict=True)
        score, reason = pair.get("score"), pair.get("reason")
        head = [f"similarity {score:.3f}"] if score is not None else []
        head += [reason] if reason else []
        note = f'<p class="note" dir="auto">{escape(": ".join(head))}</p>' if head else ""
        return f'<div class="pair">{note}<div class="sides">{"".join(_side(*side) for side in sides)}</div></div>'


def _side(name: str, row: ShownRow | None, runs: Sequence[Run]) -> str:
    head = f'<p class="of" dir="auto"><b>{escape(name)}</b>'
    if row is None:
        return f'<div>{head}</p><p class="note">its text is not in this folder</p></div>'
    num_more = row.num_input_chars - len(row.input)
    more = f'<span class="note"> … {count(num_more)} more characters</span>' if num_more > 0 else ""
    text = " ".join(_marked(run) for run in runs)
    target = f'<p class="of" dir="auto">→ {_target(row)}</p>'
    return f'<div>{head} {escape(row.where)}</p><p dir="auto">{text}{more}</p>{target}</div>'


def _marked(run: Run) -> str:
    words = escape(" ".join(run.words))
    shown = f"<mark>{words}</mark>" if run.differs else words
    gap = f' <span class="note">{escape(left_out(run.num_left_out))}</span> ' if run.num_left_out else ""
    return f"{shown}{gap}{escape(' '.join(run.tail))}"


def _target(row: ShownRow) -> Html:
    return _text(row.target, row.num_target_chars)


def _text(text: str, num_chars: int) -> Html:
    """A text, of `num_chars` characters as a whole, cut to what a table can hold; that it is cut is said."""
    if num_chars <= SHOWN_CHARS:
        return escape(text)
    return Html(f'{escape(text[:SHOWN_CHARS])} <span class="note">… {count(num_chars)} characters</span>')


def _of(total: int, num_shown: int, what: str = "rows") -> str:
    what = what[:-1] if total == 1 else what
    return f"{count(total)} {what}" + (f", {count(num_shown)} shown" if num_shown < total else "")


def _link(text: str, anchor: str) -> Html:
    return Html(f'<a href="#{anchor}">{escape(text)}</a>')


def entries(ids: Sequence[str], note: str = "") -> list[Entry]:
    """The same said about all of them."""
    return [(name, note) for name in ids]


def shortened(name: str) -> str:
    """A label or a group, cut to what a table can hold."""
    return name if len(name) <= NAME_CHARS else f"{name[:NAME_CHARS]} … ({count(len(name))} characters)"
