"""The prompts: those that won, word for word, and all that were tried with their value on valid."""

from __future__ import annotations

from collections.abc import Sequence

from markupsafe import Markup
from pydantic import Field

from ftkit.answers.prompt import Arm, Prompter
from ftkit.contracts import Section
from ftkit.records import Example, Message, dump
from ftkit.registry import Config, component
from ftkit.report.comparison import Comparison
from ftkit.report.markup import Cell, Grid, Html, count, escape, fenced, folded, plain, score
from ftkit.report.readings import is_share, primary

PLACE = Example(id="", input="⟨the row's input⟩", target="", group="")


class PromptsOptions(Config):
    """How many turns of a winning prompt stand open; the rest is folded."""

    max_turns: int = Field(10, ge=3)


@component
def render(config: PromptsOptions, comparison: Comparison) -> Section:
    """Winning prompts as conversations, then the table of candidates, best first."""
    html, markdown = [], []
    for prompter, arms in _winners(comparison):
        title = prompter.label
        if comparison.recipe.task.name == "classify":
            by = {arm.name: arm.prompter.normalize for arm in arms}
            kinds = sorted(set(by.values()))
            each = ", ".join(f"{arm} by {kind}" for arm, kind in by.items())
            title += f", label scores by {kinds[0]}" if len(kinds) == 1 else f", label scores: {each}"
        turns = prompter.messages(PLACE)
        html.append(f"<h3>{escape(title)}</h3>{_conversation(turns, max_turns=config.max_turns)}")
        text = "\n\n".join(f"[{turn['role']}]\n{turn['content']}" for turn in turns)
        markdown.append(f"### {plain(title)}\n\n{fenced(text, 'text')}")
    table = _candidates(comparison)
    return Section(
        "The prompts",
        Markup("".join(html) + folded(table.caption, table.html)),
        "\n\n".join([*markdown, table.markdown]),
    )


def _winners(comparison: Comparison) -> list[tuple[Prompter, list[Arm]]]:
    """Every prompt that an arm has, each once, with its arms; those of the base first."""
    winners: dict[str, tuple[Prompter, list[Arm]]] = {}
    for arm in sorted(comparison.arms, key=lambda arm: arm.side != "prompting"):
        if arm.side != "simple":
            wording = dump(arm.prompter.normalized("sum").as_json())
            winners.setdefault(wording, (arm.prompter, []))[1].append(arm)
    return list(winners.values())


def _conversation(turns: Sequence[Message], *, max_turns: int) -> Html:
    shown = turns if len(turns) <= max_turns else turns[: max_turns - 2]
    body = _turns(shown)
    if len(shown) < len(turns):
        folded_turns = turns[len(shown) : -1]
        body += folded(f"{len(folded_turns)} more turns", Html(_turns(folded_turns))) + _turns(turns[-1:])
    return Html(f'<div class="chat">{body}</div>')


def _turns(turns: Sequence[Message]) -> str:
    return "".join(
        f'<div class="turn {"answer" if turn["role"] == "assistant" else "question"}">'
        f'<p class="role">{escape(turn["role"])}</p><pre>{escape(turn["content"])}</pre></div>'
        for turn in turns
    )


def _candidates(comparison: Comparison) -> Grid:
    share = is_share(comparison, primary(comparison))
    order = sorted(comparison.candidates, key=lambda row: (row.value is None, -(row.value or 0.0), row.index))
    rows: list[list[Cell]] = []
    for row in order:
        state = "chosen" if row.chosen else " – ".join(part for part in (row.status, row.detail) if part)
        tokens = None if row.prompt_tokens_mean is None else count(row.prompt_tokens_mean)
        value = score(row.value, share=share)
        rows.append([row.label, row.instruction, row.normalize, state, value, tokens])
    head = (
        "prompt",
        "wording",
        "label scores",
        "outcome",
        f"{primary(comparison)} on valid",
        "prompt tokens",
    )
    return Grid(f"All {count(len(order))} prompts that were tried or considered", head, rows, 4)
