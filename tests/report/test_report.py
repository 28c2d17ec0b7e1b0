"""The report: every section in its place, self-contained, and nothing from the data gets out of its text."""

from __future__ import annotations

import re
from dataclasses import replace
from html.parser import HTMLParser
from pathlib import Path

import pytest
from comparisons import comparison, recipe

from ftkit.answers.prompting.few_shot import Demonstrating, Demonstration
from ftkit.recipe.schema import TaskChoice
from ftkit.records import Example, Guard
from ftkit.registry import names
from ftkit.report import page as report
from ftkit.report.comparison import Comparison, Timing
from ftkit.report.markup import Grid, difference, escape, fenced, interval, plain

HOSTILE = '<script>alert(1)</script> "x" \' | `a` **b** $x$ [l](javascript:alert(1)) </style> <!-- é'
VOID = {"meta", "br", "hr", "img", "link", "input"}


class Tree(HTMLParser):
    """Counts elements and ids, and fails where a closing tag does not belong to the last open one."""

    def __init__(self) -> None:
        super().__init__()
        self.open: list[str] = []
        self.seen: dict[str, int] = {}
        self.ids: list[str] = []
        self.links: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        """Note an element; void ones have no end."""
        self.seen[tag] = self.seen.get(tag, 0) + 1
        self.ids += [value or "" for name, value in attrs if name == "id"]
        self.links += [value or "" for name, value in attrs if name in ("href", "src", "xlink:href")]
        if tag not in VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        """`<path/>` opens nothing."""
        self.handle_starttag(tag, attrs)
        if tag not in VOID:
            self.open.pop()

    def handle_endtag(self, tag: str) -> None:
        """Close the last one."""
        assert self.open.pop() == tag


def parsed(page: str) -> Tree:
    """The page as a tree, all elements closed."""
    tree = Tree()
    tree.feed(page)
    tree.close()
    assert tree.open == []
    return tree


@pytest.fixture(scope="module")
def finished(tmp_path_factory: pytest.TempPathFactory) -> Comparison:
    """The hand-made run, compared."""
    return comparison(tmp_path_factory.mktemp("run"))


def poisoned(found: Comparison) -> Comparison:
    """The same comparison with hostile text wherever text comes from data, recipe, prompts or stages."""
    wrong = {arm.name for arm in found.arms}
    predictions = {
        arm: [replace(row, raw=HOSTILE, parsed=HOSTILE, reference=HOSTILE) for row in rows]
        for arm, rows in found.predictions.items()
        if arm in wrong
    }
    shown = [Demonstration.of(Example("t1", HOSTILE, HOSTILE, "t1"))]
    prompter = Demonstrating(label=HOSTILE, family="few_shot", instruction=HOSTILE, demonstrations=shown)
    verdict = {
        "verdict": "invalid",
        "ship": None,
        "guards": (Guard(HOSTILE, "failed", HOSTILE),),
        "floors": {HOSTILE: {"accuracy": 0.5}},
    }
    texts = dict.fromkeys(("instruction", "label", "detail"), HOSTILE)
    environment = {**found.environments["prepare"], "python": HOSTILE, "packages": {"torch": HOSTILE}}
    model = found.recipe.model.model_copy(update={"path": HOSTILE})
    counts = {name: {HOSTILE: 3} for name in ("train", "valid", "test")}
    funnel = [line.model_copy(update={"step": HOSTILE}) for line in found.summary.funnel]
    summary = {"labels": [HOSTILE], "label_counts": counts, "funnel": funnel, "sources": {HOSTILE: HOSTILE}}
    return replace(
        found,
        recipe=found.recipe.model_copy(update={"name": HOSTILE, "model": model}),
        summary=found.summary.model_copy(update=summary),
        candidates=[row.model_copy(update=texts) for row in found.candidates],
        trainings={HOSTILE: found.trainings["lora"]},
        steps={HOSTILE: found.steps["lora"]},
        arms=[replace(arm, prompter=prompter) for arm in found.arms],
        tests=[replace(row, id=HOSTILE, input=HOSTILE, target=HOSTILE) for row in found.tests],
        predictions=predictions,
        verdict=found.verdict.model_copy(update=verdict),
        environments={HOSTILE: environment},
        timings={**found.timings, HOSTILE: Timing(1.0, {}, {"machine": {"device": HOSTILE}})},
    )


def test_every_section_file_has_its_place_in_the_order() -> None:
    assert sorted(report.SECTIONS) == list(names("sections"))
    assert report.SECTIONS[0] == "verdict"


def test_the_verdict_stands_first_and_in_one_sentence(finished: Comparison) -> None:
    page = report.render(finished)
    assert page.html.index("Fine-tuning is worth it: ship lora+zero_shot.") < page.html.index("The arms</h2>")
    numbers = (
        "On the same 240 test rows lora+zero_shot scores 80.0 % in accuracy and the best prompt, "
        "base+few_shot, 60.0 %: a difference of +20.0 points; with 95 % confidence the true difference lies "
        "in +12.1 to +27.4 points."
    )
    assert numbers in page.html
    assert finished.verdict.sentence.startswith(f"Fine-tuning is worth it: ship lora+zero_shot. {numbers} The whole")


def test_the_page_is_well_formed_and_needs_nothing_from_elsewhere(finished: Comparison) -> None:
    page = report.render(finished).html
    tree = parsed(page)
    assert "script" not in tree.seen
    assert [link for link in tree.links if not link.startswith("#")] == []
    assert re.findall(r"url\((?!#)", page) == []
    assert len(tree.ids) == len(set(tree.ids))
    assert set(re.findall(r"url\(#([^)]+)\)", page)) <= set(tree.ids)
    assert len(page) < 200_000


def test_pictures_say_in_words_what_they_show(finished: Comparison) -> None:
    page = report.render(finished).html
    labels = re.findall(r'<svg role="img" aria-label="([^"]*)"', page)
    assert len(labels) == 3 == page.count("<svg ")
    assert labels[0] == "Interval of the difference, fine-tuned minus prompting: +12.1 to +27.4; margin 2 either way."
    assert labels[1].startswith("accuracy of every arm with its interval. base+zero_shot 40.0 % (33.9 – 46.3 %); ")


def test_pictures_take_their_colours_from_the_page(finished: Comparison) -> None:
    page = report.render(finished).html
    pictures = "".join(re.findall(r"<svg .*?</svg>", page, flags=re.DOTALL))
    assert re.findall(r"(?:fill|stroke): #[0-9a-f]{6}", pictures) == []
    assert "var(--tuned)" in pictures


def test_hostile_text_stays_text_everywhere(finished: Comparison) -> None:
    page = report.render(poisoned(finished))
    tree = parsed(page.html)
    clean = parsed(report.render(finished).html)
    assert "script" not in tree.seen
    assert tree.seen["style"] == clean.seen["style"] == 1
    assert page.html.count("&lt;script&gt;alert(1)&lt;/script&gt;") > 50
    outside = re.sub(r"^(`{3,})\w*\n.*?\n\1$", "", page.markdown, flags=re.DOTALL | re.MULTILINE)
    assert "<script" not in outside
    assert not re.search(r"(?<!\\)\[l\\?\]", outside)


def test_hostile_text_does_not_break_a_markdown_table(finished: Comparison) -> None:
    markdown = report.render(poisoned(finished)).markdown
    blocks = re.findall(r"(?:^\|.*\n?)+", markdown, flags=re.MULTILINE)
    widths = [{len(re.findall(r"(?<!\\)\|", line)) for line in block.strip().splitlines()} for block in blocks]
    assert len(blocks) > 8
    assert [len(width) for width in widths] == [1] * len(blocks)


def test_the_recipe_stands_verbatim_in_a_fence_it_cannot_close() -> None:
    assert fenced("a\n```\nb") == "````\na\n```\nb\n````"


def test_values_are_escaped_and_control_signs_are_shown() -> None:
    assert escape("<a href='x'>&") == "&lt;a href=&#x27;x&#x27;&gt;&amp;"
    assert escape(escape("<")) == "&lt;"
    assert escape("a\x1b[31mb\u202ec") == "a\ufffd[31mb\ufffdc"
    assert plain("a|b\n*c* <d>") == "a\\|b \\*c\\* &lt;d&gt;"


def test_a_table_heads_its_columns_and_rows() -> None:
    table = Grid("Counts", ("name", "rows"), [("a<b", "3")])
    assert '<th scope="col">name</th><th scope="col" class="n">rows</th>' in table.html
    assert '<th scope="row">a&lt;b</th><td class="n">3</td>' in table.html
    assert table.markdown == "Counts:\n\n| name | rows |\n| --- | --: |\n| a&lt;b | 3 |"


def test_only_the_first_fifty_disagreements_are_listed(finished: Comparison) -> None:
    markdown = report.render(finished).markdown
    wins = markdown[markdown.index("Fine-tuning does better: 72 rows, the first 50") :]
    wins = wins[: wins.index("Fine-tuning does worse: 24 rows")]
    assert len(re.findall(r"^\| r\d{4} ", wins, flags=re.MULTILINE)) == 50


def test_the_winning_prompt_stands_word_for_word(finished: Comparison) -> None:
    markdown = report.render(finished).markdown
    opening = "[user]\nClassify the message.\n\nMy parcel has been in the depot for a week."
    assert f"{opening}\n\n[assistant]\ndelivery" in markdown
    assert "needs 1,400 of 1,024 tokens" in markdown


def test_break_even_is_told_in_requests(finished: Comparison) -> None:
    # 93.4 s × 2.5 / 3600 = 0.06486 once; (150 − 33) × 0.4 / 1e6 = 0.0000468 saved per request: 1385.9
    assert "training has paid for itself after 1,386 requests" in report.render(finished).html


def test_a_run_without_prices_says_so(tmp_path: Path) -> None:
    free = recipe(compare__prices__input_tokens=0, compare__prices__output_tokens=0)
    assert "declares no token prices" in report.render(comparison(tmp_path, num_rows=20, recipe_of=free)).html


@pytest.mark.parametrize(
    ("right", "words"),
    [
        ("0", "A prompt is better: ship base+few_shot."),
        ("012346", "Not settled: keep the prompt, base+few_shot, until more rows decide."),
    ],
)
def test_other_verdicts_have_their_own_headline(tmp_path: Path, right: str, words: str) -> None:
    found = comparison(tmp_path, num_rows=60, right={"lora+zero_shot": right})
    assert words in report.render(found).html


@pytest.mark.parametrize(
    ("value", "words"),
    [(0.0196, "+1.96"), (0.0204, "+2.04"), (0.02, "+2.0"), (0.0251, "+2.5"), (-0.01996, "−1.996"), (0.0, "0.0")],
)
def test_a_difference_is_never_rounded_across_the_margin(value: float, words: str) -> None:
    assert difference(value, share=True, margin=0.02) == words


def test_a_difference_is_never_rounded_to_zero() -> None:
    assert difference(0.0003, share=True, margin=0.02) == "+0.03"
    assert interval((-0.0004, 0.0216), share=True, signed=True, margin=0.02) == "−0.04 to +2.2"


def test_a_guard_that_does_not_apply_is_told_and_is_no_alarm(finished: Comparison) -> None:
    guard = Guard("adapter_changes_logits", "not_applicable", "no log-probabilities")
    verdict = finished.verdict.model_copy(update={"guards": (*finished.verdict.guards, guard)})
    page = report.render(replace(finished, verdict=verdict))
    passed = len(finished.verdict.guards)
    assert f"<summary>{passed} of {passed + 1} guards passed, 1 not applicable</summary>" in page.html
    assert 'class="alarm"' not in page.html
    assert "| adapter changes logits | not applicable | no log-probabilities |" in page.markdown


def test_labels_are_left_out_where_nothing_is_classified(finished: Comparison) -> None:
    task = TaskChoice.model_validate({"generate": {"max_new_tokens": 8}})
    generating = replace(finished, recipe=finished.recipe.model_copy(update={"task": task}))
    assert "Most frequent confusions" in report.render(finished).html
    assert "Most frequent confusions" not in report.render(generating).html
