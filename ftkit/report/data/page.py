"""The data report: `data.json` and `data.html`, one self-contained page on what prepare did and what is in the splits.

Lays out what `findings` found and computes nothing itself; whatever stands in the data is escaped.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TypeAlias

from markupsafe import Markup

from ftkit.contracts import Json
from ftkit.prepare.summary import FunnelLine
from ftkit.report.data.bars import KINDS, funnel, histogram, small
from ftkit.report.data.findings import findings
from ftkit.report.data.lists import Lists, entries, shortened
from ftkit.report.data.prepared_rows import ShownRow
from ftkit.report.data.word_tables import scripts, words
from ftkit.report.markup import NOTHING, Cell, Grid, Html, count, counted, escape, folded, percent
from ftkit.report.skeleton import Part, fill_page
from ftkit.store import write_bytes, write_json

Cells: TypeAlias = list[list[Cell]]

LABELS_SHOWN = 200
VERBS = {"drop": "dropped", "change": "changed", "flag": "flagged", "add": "added"}

STYLE_OF_LISTS = """
.lists { margin-top: 16px }
.lists > details > details { margin-left: 18px }
table.rows { font-size: .85rem }
table.rows td:last-child { min-width: 110px }
table.rows td:nth-child(3) { min-width: 240px }
table.rows td:nth-child(2), table.rows tbody th { min-width: 92px; max-width: 180px; overflow-wrap: anywhere }
tr:target, .pairs:target { outline: 2px solid var(--prompting); outline-offset: 2px }
.pairs { display: grid; gap: 12px; margin: 12px 0 }
.pair { border: 1px solid var(--line); border-radius: 8px; padding: 10px 14px }
.pair p { margin: 0 0 4px; overflow-wrap: anywhere }
.pair .of { font-size: .82rem; color: var(--muted) }
.sides { display: grid; grid-template-columns: 1fr 1fr; gap: 20px }
mark { background: var(--tuned-soft); color: inherit; border-bottom: 2px solid var(--tuned); border-radius: 2px }
.several { display: grid; grid-template-columns: repeat(auto-fit, minmax(220px, 1fr)); gap: 4px 28px }
.hist { display: flex; align-items: flex-end; gap: 2px; height: 64px; border-bottom: 1px solid var(--line) }
.hist i { flex: 1; background: var(--prompting); border-radius: 2px 2px 0 0 }
.hist i.open { background: var(--muted) }
.hist.little { height: 22px; width: 110px; flex: none }
.hist.little i { max-width: 14px }
.scores { display: flex; gap: 12px; align-items: flex-end; white-space: nowrap }
.tile .value a { color: inherit; text-decoration-color: var(--line) }
.alarm a { color: inherit }
.axis { display: flex; justify-content: space-between; font-size: .75rem; color: var(--muted) }
.several h4 { margin: 10px 0 4px; font-size: .88rem; font-weight: 600 }
@media (max-width: 900px) { .sides { grid-template-columns: 1fr } }
"""


def write(folder: Path, *, threads: int = 1, on_progress: Callable[[int], object] = int) -> None:
    """Write `data.json` and `data.html` beside the rows; the same bytes for the same rows.

    `on_progress` is told how many rows were looked at since.
    """
    report = findings(folder, threads=threads, on_progress=on_progress)
    write_json(folder / "data.json", report)
    write_bytes(folder / "data.html", render(report).encode())


def render(report: Json) -> str:
    """The page. A number of rows that a step or a look picked out links to the first of them, in a folded list."""
    lists = Lists({name: ShownRow(**row) for name, row in report["texts"].items()})
    parts = []
    for title, section in SECTIONS.items():
        body = section(report, lists)
        if body:
            parts.append(Part(_key(title), title, Markup(body + lists.flush())))
    lead = "What became of every row, and what is in the splits"
    return fill_page(parts, title="The data, before training", heading="The data", lead=lead, more_style=STYLE_OF_LISTS)


def _overview(report: Json, lists: Lists) -> str:
    """One sentence, the reason that cost most rows, and what has to be looked at before training."""
    rows = report["rows"]
    added = f", {_were(rows['added'])} added" if rows["added"] else ""
    sentence = (
        f"{counted(rows['came'], 'row')} came in, {_were(rows['dropped'])} dropped{added}, "
        f"and {count(rows['kept'])} {'is' if rows['kept'] == 1 else 'are'} in the splits."
    )
    numbers = {name: _to_section("Step by step", rows[name]) for name in ("came", "dropped")}
    for split, number in rows["splits"].items():
        numbers[split] = lists.number(number, f"The first rows of {split}", entries(report["first"][split]))
    tiles = "".join(
        f'<div class="tile"><p class="of">{escape(name)}</p><p class="value">{number}</p></div>'
        for name, number in numbers.items()
    )
    return (
        f'<p class="headline">{escape(sentence)}</p>{_worst(report)}{_alarms(report)}<div class="tiles">{tiles}</div>'
    )


def _worst(report: Json) -> str:
    """The step that dropped most, and its most frequent reason."""
    drops = [step for step in report["steps"] if step["action"] == "drop"]
    if not drops:
        return ""
    worst = max(drops, key=lambda step: step["rows"])
    reason = worst["reasons"][0]
    share = f", {count(reason['events'])} of them" if reason["events"] < worst["events"] else ""
    text = f"Most were dropped by {worst['step']}: {counted(worst['rows'], 'row')}{share} with the reason "
    return f'<p class="lead" dir="auto">{escape(text)}“{escape(reason["reason"])}”.</p>'


def _alarms(report: Json) -> str:
    """What makes scores on the splits worth less than they look."""
    lines = []
    for section, what, key in (
        ("Duplicates and leaks", "with an input", "repeats"),
        ("Groups", "of a group", "groups"),
    ):
        for each in report[key]["between"]:
            if each["rows"]:
                one, other = each["splits"]
                lines.append(f"Rows of {other} {what} that stands in {one} too: {_to_section(section, each['rows'])}")
    absent = report["labels"]["absent"] if report["labels"] else {}
    lines += [escape(f"{split} has no row of {_listed(labels)}.") for split, labels in absent.items() if labels]
    body = "".join(f'<p dir="auto">{line}</p>' for line in lines)
    return f'<div class="alarm">{body}</div>' if lines else ""


def _were(number: int) -> str:
    return f"{count(number) if number else 'none'} {'was' if number == 1 else 'were'}"


def _to_section(title: str, number: int) -> Html:
    return Html(f'<a href="#{_key(title)}">{count(number)}</a>') if number else escape(count(number))


def _funnel(report: Json, lists: Lists) -> str:
    """The picture, then the same as numbers with their rows, then the reasons."""
    if not report["funnel"]:
        return "<p>No step ran: the rows are as they came.</p>"
    links = {_key_of(step): _events(step, lists) for step in report["steps"]}
    actions = dict(zip(KINDS, ("drop", "change", "flag", "add"), strict=True))
    table: Cells = []
    for line in report["funnel"]:
        numbers: list[Cell] = []
        for kind, action in actions.items():
            key, number = (line["step"], action), line.get(kind, 0)
            numbers.append((_as(links[key], number) if key in links else count(number)) if number else NOTHING)
        table.append([line["step"], count(line["rows_in"]), *numbers])
    reasons: Cells = [
        [step["step"], VERBS[step["action"]], reason["reason"], _as(links[_key_of(step)], reason["events"])]
        for step in report["steps"]
        for reason in step["reasons"]
    ]
    for step in report["steps"]:
        if beyond := step["events_of_other_reasons"]:
            reasons.append([step["step"], VERBS[step["action"]], "other reasons", _as(links[_key_of(step)], beyond)])
    why = Grid("Reasons, without their numbers and names", ("step", "what", "reason", "events"), reasons, 3).html
    body = Grid("Rows of each step", ("step", "rows in", *KINDS), table).html
    note = '<p class="note">Shaded is what a step dropped. A step that sees only some rows has a shorter bar.</p>'
    lines = [FunnelLine(**line) for line in report["funnel"]]
    return funnel(lines, report["rows"]["splits"]) + note + body + (why if reasons else "")


def _key_of(step: Json) -> tuple[str, str]:
    return step["step"], step["action"]


def _as(link: Html, number: int) -> Html:
    """The link with another number: a step that ran twice has one list, and so have its reasons."""
    return Html(re.sub(r">[\d,]+<", f">{count(number)}<", link))


def _events(step: Json, lists: Lists) -> Html:
    title = f"{step['step']}, {VERBS[step['action']]}"
    return lists.number(step["rows"], title, [(event["id"], _why(event)) for event in step["examples"]])


def _why(event: Json) -> str:
    score = f" ({event['score']:.3f})" if event["score"] is not None else ""
    kept = f", for {event['kept_id']}" if event["kept_id"] else ""
    return f"{event['reason']}{score}{kept}"


def _lengths(report: Json, lists: Lists) -> str:
    """Histograms of each split side by side, and quantiles that link to a row of that length."""
    parts = {"input": "", "target": ""}
    for each in report["lengths"]:
        name = f"{each['side']}, {each['unit']}"
        bars = "".join(
            f"<div><h4>{escape(split)}</h4>{_histogram(each, split, name)}</div>" for split in each["splits"]
        )
        table = _quantiles(each, name, lists)
        parts[each["side"]] += f'<h3>{escape(name.capitalize())}</h3><div class="several">{bars}</div>{table}'
    if report["labels"]:
        parts["target"] = folded("Lengths of the targets, which are labels", Html(parts["target"]))
    note = "Bars of a kind have the same bounds in all splits; a grey last bar holds all longer texts too."
    return f'<p class="note">{note}</p>{"".join(parts.values())}'


def _histogram(each: Json, split: str, name: str) -> Html:
    label = f"Histogram of {name}, {split}"
    return histogram(each["splits"][split]["bars"], **each["bars"], label=label, unit=each["unit"])


def _quantiles(each: Json, name: str, lists: Lists) -> Html:
    table: Cells = []
    head: list[str] = []
    for split, values in each["splits"].items():
        names = [_name_of(point["share"]) for point in values["quantiles"]]
        numbers = [
            (count(point["value"]), [(point["id"], f"{text}: {count(point['value'])} {each['unit']}")])
            for point, text in zip(values["quantiles"], names, strict=True)
        ]
        links = lists.numbers(f"{name}, {split}: rows of these lengths", numbers)
        table.append([split, f"{values['mean']:,.1f}", *links])
        head = names
    return Grid(f"Lengths of the {name}", ("split", "mean", *head), table).html


def _name_of(share: float) -> str:
    return {0.0: "shortest", 0.5: "median", 1.0: "longest"}.get(share, f"{100 * share:.0f} %")


def _labels(report: Json, lists: Lists) -> str:
    """Rows of each label in each split, the most frequent first; nothing where the task has no labels."""
    if not report["labels"]:
        return ""
    counts = report["labels"]["counts"]
    shown = counts
    sentence = f"{count(len(counts))} labels, the most frequent in train first."
    if len(counts) > LABELS_SHOWN:
        shown = [*counts[: LABELS_SHOWN // 2], *counts[-LABELS_SHOWN // 2 :]]
        sentence += f" Shown are the first and the last {LABELS_SHOWN // 2}; data.json has all."
    splits = list(report["rows"]["splits"])
    links = {
        split: lists.numbers(
            f"{split}: rows of each label",
            [(count(each["splits"][split]["rows"]), entries(each["splits"][split]["ids"])) for each in shown],
        )
        for split in splits
    }
    train = max(report["rows"]["splits"]["train"], 1)
    table: Cells = [
        [shortened(each["label"]), *(links[split][place] for split in splits), _share(each, train)]
        for place, each in enumerate(shown)
    ]
    html = f"<p>{escape(sentence)}</p>"
    for split, absent in report["labels"]["absent"].items():
        if absent:
            html += f'<p dir="auto">{escape(f"{split} has no row of {_listed(absent)}.")}</p>'
    if len(counts) > len(report["labels"]["rarest"]):
        last = report["labels"]["rarest"][:5]
        rarest = ", ".join(f"{shortened(each['label'])} ({count(each['rows'])})" for each in last)
        html += f'<p dir="auto">{escape(f"The rarest in train: {rarest}.")}</p>'
    return html + Grid("Rows per label", ("label", *splits, "share of train"), table).html


def _share(each: Json, num_rows: int) -> str:
    return percent(each["splits"]["train"]["rows"] / num_rows)


def _duplicates(report: Json, lists: Lists) -> str:
    """Rows that gave way to another, by step, and inputs that still stand twice."""
    table: Cells = []
    for step in report["steps"]:
        if step["pairs"]:
            pairs = [event for event in step["examples"] if event["kept_id"] is not None]
            link = lists.pairs(step["pairs"], f"{step['step']}, {VERBS[step['action']]}, the least alike first", pairs)
            scores = [(f"{each['from']:.2f} to {each['to']:.2f}", each["pairs"]) for each in step["similarities"]]
            ends = f"{step['similarities'][0]['from']:.2f} to {step['similarities'][-1]['to']:.2f}" if scores else ""
            similarity = Html(f'<div class="scores">{small(scores)}{ends}</div>') if scores else None
            table.append([step["step"], VERBS[step["action"]], similarity, link])
    html = "<p>No row gave way to another.</p>"
    if table:
        html = Grid("Rows that gave way to another", ("step", "what", "similarity", "pairs"), table, 3).html
    inside, between = report["repeats"]["inside"], report["repeats"]["between"]
    places = [(f"in {split} twice or more", each) for split, each in inside.items()]
    places += [(f"in {each['splits'][0]} and in {each['splits'][1]}", each) for each in between]
    left: Cells = [[name, lists.pairs(each["rows"], f"Inputs {name}", each["pairs"])] for name, each in places]
    note = "Inputs are the same where their words are, and what was said before; case and punctuation do not count."
    caption = "Rows in the splits whose input stands there before"
    return f'{html}<h3>What is left</h3><p class="note">{note}</p>{Grid(caption, ("input", "rows"), left).html}'


def _suspicious(report: Json, lists: Lists) -> str:
    """Rows to read before training."""
    odd = report["suspicious"]
    table: Cells = [
        [f"flagged by {step['step']}", _events(step, lists)] for step in report["steps"] if step["action"] == "flag"
    ]
    for name in ("shortest", "longest"):
        rows = [(row["id"], f"{count(row['length'])} characters") for row in odd[name]]
        table.append([f"the {name} inputs", lists.number(len(rows), f"The {name} inputs", rows)])
    for split, each in odd["target_in_input"].items():
        text = f"{split}: the target's words stand in the input"
        table.append([text, lists.number(each["rows"], text, entries(each["ids"]))])
    if report["labels"]:
        rare = odd["rare_labels"]
        text = f"train: the label has fewer than {rare['fewer_than']} rows ({counted(rare['labels'], 'label')})"
        table.append([text, lists.number(rare["rows"], text, entries(rare["ids"]))])
    light = [(row["id"], f"weight {row['weight']:.3g}") for row in odd["low_weight"]["lowest"]]
    table.append(["weight below 1, the lowest first", lists.number(odd["low_weight"]["rows"], "Weight below 1", light)])
    for split, each in (odd["empty_history"] or {}).items():
        text = f"{split}: no turn before the input"
        table.append([text, lists.number(each["rows"], text, entries(each["ids"]))])
    return Grid("Rows to read before training", ("what", "rows"), table).html


def _groups(report: Json, lists: Lists) -> str:
    """Groups of several rows, the largest first."""
    groups = report["groups"]
    table: Cells = [
        [split, count(each["groups"]), count(each["of_several_rows"])] for split, each in groups["splits"].items()
    ]
    html = Grid("Groups, which are never split", ("split", "groups", "of several rows"), table).html
    shared: Cells = []
    for each in groups["between"]:
        text = f"Rows of {each['splits'][1]} whose group stands in {each['splits'][0]} too"
        if each["rows"]:
            shared.append([text, lists.number(each["rows"], text, entries(each["ids"]))])
    if shared:
        html = Html(html + Grid("Groups in several splits", ("what", "rows"), shared).html)
    if not groups["largest"]:
        return html
    numbers = [(count(each["rows"]), entries(each["ids"], f"group {each['group']}")) for each in groups["largest"]]
    links = lists.numbers("Rows of the largest groups", numbers)
    largest: Cells = [
        [shortened(each["group"]), each["split"], link] for each, link in zip(groups["largest"], links, strict=True)
    ]
    return html + Grid("The largest groups", ("group", "split", "rows"), largest, 2).html


def _key(title: str) -> str:
    return title.lower().replace(" ", "-")


def _listed(labels: Sequence[str]) -> str:
    shown = ", ".join(shortened(label) for label in labels[:5])
    return f"{counted(len(labels), 'label')}: {shown}" + (" …" if len(labels) > 5 else "")


SECTIONS: Mapping[str, Callable[[Json, Lists], str]] = {
    "In one sentence": _overview,
    "Step by step": _funnel,
    "Lengths": _lengths,
    "Labels": _labels,
    "Duplicates and leaks": _duplicates,
    "Words": words,
    "Scripts and languages": scripts,
    "Suspicious rows": _suspicious,
    "Groups": _groups,
}
