"""Every source, shape, cleaning step and split does what its golden example says, and keeps to its kind's contracts.

Knows no component by name: adding one is adding its file, and `golden/<kind>/<name>.json`. Examples were written down
once, so every run holds them against another process with another hash seed.
"""

from __future__ import annotations

import json
import random
import subprocess
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import polars
import pytest
from golden_examples import GOLDEN, KINDS, Row, Shape, Source, Split, Step, golden, write
from hub_standin import environment, files_of, serving

from ftkit.contracts import Cleaned, Context, Machine, Quiet, Shaped
from ftkit.errors import DataError
from ftkit.prepare.cleaning import RowStep
from ftkit.prepare.formats.json_rows import table_of
from ftkit.prepare.rows import Rows
from ftkit.prepare.shapes import recognise
from ftkit.prepare.sources import SourceConfig
from ftkit.prepare.splitting import SPLITS, order_keys
from ftkit.registry import Component, Config, find, names

EVENT = dict.fromkeys(("id", "action", "reason", "kept_id"), polars.String) | {"score": polars.Float64}
ALIKE = "my card has not come yet and i wait for it since monday please tell me when it will be here"
ODD = ["", " ", "👍", "?!", "no no no no no no", "1 2 3 4 5 6 7", "Hallo, wo bleibt meine neue Karte?", "é\r\n\n\nè"]


def test_a_component_without_an_example_is_told_which_file_to_add() -> None:
    with pytest.raises(pytest.fail.Exception, match=r'add .*golden/cleaning/none\.json: .*\n\{"about": "…", "options"'):
        golden(Step, "none")


def test_an_example_with_an_unknown_key_is_no_example(tmp_path: Path) -> None:
    (tmp_path / "cleaning").mkdir()
    (tmp_path / "cleaning" / "odd.json").write_text('{"about": "", "optons": {}}')
    with pytest.raises(pytest.fail.Exception, match=r"odd\.json: .*unexpected keyword argument 'optons'"):
        golden(Step, "odd", tmp_path)


@pytest.mark.parametrize("kind", KINDS)
def test_every_example_is_that_of_a_component(kind: str) -> None:
    assert {path.stem for path in (GOLDEN / kind).iterdir()} == set(names(kind))


# ---- sources ----


def read(name: str, options: Row, folder: str) -> dict[str, Any]:
    """What a source gives, with places as the folder has them."""
    component, ctx = find("sources", name), Context(base_dir=Path(folder), progress=Quiet())
    config = component.config_type.model_validate(options)
    assert isinstance(config, SourceConfig)
    batches = list(component.function(config, ctx))
    assert all(batch.table.height == len(batch.places) for batch in batches)
    found = {
        "expected": [row for batch in batches for row in batch.table.to_dicts()],
        "places": [place for batch in batches for place in batch.places],
        "faults": {place: reason for batch in batches for place, reason in batch.faults.items()},
        "said": ctx.progress.said,  # type: ignore[attr-defined]
        "content_id": config.content_id(ctx),
    }
    return json.loads(json.dumps(found).replace(folder + "/", ""))  # type: ignore[no-any-return]


def read_from_the_standin(name: str, options: Row, folder: Path) -> dict[str, Any]:
    """`read` in a process of its own: the address of the hub is read once a process."""
    program = "import json, sys; from test_golden import read; print(json.dumps(read(*json.loads(sys.argv[1]))))"
    arguments = json.dumps([name, options, str(folder)])
    with serving({f"datasets/{options['repository']}": files_of(GOLDEN / "sources" / name)}) as hub:
        env = {"PATH": "", "PYTHONPATH": str(GOLDEN.parent), **environment(hub.endpoint, folder)}
        done = subprocess.run(
            [sys.executable, "-c", program, arguments],
            cwd=Path(__file__).parent, env=env, capture_output=True, text=True, check=False,
        )  # fmt: skip
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)  # type: ignore[no-any-return]


@pytest.mark.parametrize("name", names("sources"))
def test_every_source_reads_its_example_as_the_example_says(name: str, tmp_path: Path) -> None:
    example, config_type = golden(Source, name), find("sources", name).config_type
    if issubclass(config_type, SourceConfig) and config_type.is_remote:
        found = read_from_the_standin(name, example.options, tmp_path)
    else:
        folder = tmp_path if example.files else GOLDEN / "sources" / name
        write(example.files, tmp_path)
        found = read(name, example.options, str(folder))
        assert read(name, example.options, str(folder)) == found
    assert found.pop("content_id")
    assert found == {key: getattr(example, key) for key in ("expected", "places", "faults", "said")}
    ids = [row["id"] for row in found["expected"]]
    assert len(set(ids)) == len(ids) and all(isinstance(each, str) for each in ids)
    assert len(set(found["places"]) | set(found["faults"])) == len(ids) + len(found["faults"])


# ---- shapes ----


@pytest.mark.parametrize("name", names("shapes"))
def test_every_shape_makes_of_its_example_what_the_example_says(name: str) -> None:
    example, component = golden(Shape, name), find("shapes", name)
    config = component.config_type.model_validate(example.options)
    columns = dict.fromkeys(column for row in example.rows for column in row)
    table = table_of(example.rows, columns)
    shaped = component.function(config, table)
    assert isinstance(shaped, Shaped)
    assert (shaped.table.to_dicts(), shaped.faults) == (example.expected, example.faults)
    assert recognise(table) == example.recognised
    assert shaped.table.select("id", "input", "target").null_count().row(0) == (0, 0, 0)
    assert shaped.table["id"].is_unique().all()
    made = set(shaped.table["conversation" if "conversation" in shaped.table.columns else "id"])
    assert made.isdisjoint(shaped.faults) and made | shaped.faults.keys() == set(table["id"])
    alone = [component.function(config, table_of([row], columns)) for row in example.rows]
    assert [row for each in alone for row in each.table.to_dicts()] == example.expected
    assert {row: reason for each in alone for row, reason in each.faults.items()} == example.faults


# ---- cleaning ----


def messy(count: int = 60) -> polars.DataFrame:
    """Rows with every defect: repeated, broken, empty, in other languages, with personal data; and more columns."""
    dice = random.Random(3)
    ends = ["", "!", " now", "<br>", " cafÃ©", "  ann@example.com", " +49 30 1234567", "\n\n\n", " # # #", "..."]
    texts = [" ".join(dice.choices(ALIKE.split(), k=dice.randint(1, 12))) + dice.choice(ends) for _ in range(count)]
    texts += [ALIKE[: len(ALIKE) - number % 3] for number in range(6)] + ODD
    dice.shuffle(texts)
    targets = [dice.choice(["a", "b ", "", "two\r\nlines", "10.0.0.1"]) for _ in texts]
    ids = [f"messy{number}" for number in range(len(texts))]
    rows = polars.DataFrame({"id": ids, "input": texts, "target": targets, "group": ids, "weight": 1.0})
    return rows.with_columns(time=polars.lit("2024-01-01"), rejected=polars.lit(None, polars.String))


@dataclass(frozen=True)
class Trial:
    """A step with the options of its example, the example's rows, and messy rows behind them."""

    component: Component
    config: Config
    example: Step
    rows: polars.DataFrame
    folder: Path

    def __call__(self, table: polars.DataFrame, rows: Rows | None = None, threads: int = 1) -> Cleaned:
        ctx = Context(base_dir=self.folder, machine=Machine(threads=threads))
        if isinstance(self.config, RowStep):
            cleaned = self.component.function(self.config, table, ctx)
            assert isinstance(cleaned, Cleaned)
            return cleaned
        marked = self.component.function(self.config, Rows.of(table) if rows is None else rows, ctx)
        assert [len(column) for column in marked.columns.values()] == [table.height] * len(marked.columns)
        gone = marked.events.filter(action="drop").select("id")
        return Cleaned(
            table.with_columns(**marked.columns).join(gone, on="id", how="anti", maintain_order="left"), marked.events
        )


def full(rows: Sequence[Row]) -> polars.DataFrame:
    return polars.DataFrame([{"id": row["id"], "group": row["id"], "weight": 1.0, **row} for row in rows])


def does_what_its_example_says(step: Trial) -> None:
    cleaned = step(full(step.example.rows))
    assert cleaned.table.to_dicts() == full(step.example.expected).to_dicts()
    assert cleaned.events.with_columns(polars.col("score").round(3)).to_dicts() == [
        {**dict.fromkeys(EVENT), **event} for event in step.example.events
    ]
    assert step.example.events, "an example shows what is done and said"


def accounts_for_every_row_whatever_the_threads(step: Trial) -> None:
    cleaned = step(step.rows)
    by_action = {action: cleaned.events.filter(action=action)["id"] for action in ("drop", "add", "change", "flag")}
    assert sum(map(len, by_action.values())) == cleaned.events.height
    given, left, gone, new = (
        set(ids) for ids in (step.rows["id"], cleaned.table["id"], by_action["drop"], by_action["add"])
    )
    assert (len(left), len(gone)) == (cleaned.table.height, len(by_action["drop"]))
    assert (gone | left == given | new) and gone.isdisjoint(left) and new.isdisjoint(given) and gone <= given
    assert [each for each in cleaned.table["id"] if each in given] == [each for each in step.rows["id"] if each in left]
    assert cleaned.table.schema == step.rows.schema
    assert cleaned.events.schema == EVENT and cleaned.events.select("id", "reason").null_count().row(0) == (0, 0)
    again = step(step.rows, threads=2)
    assert again.table.equals(cleaned.table) and again.events.equals(cleaned.events)


def gives_the_same_however_rows_are_cut_into_batches(step: Trial) -> None:
    whole = step(step.rows)
    for size in (1, 17):
        if isinstance(step.config, RowStep):
            parts = [step(part) for part in step.rows.iter_slices(size)]
        else:
            parts = [step(step.rows, Rows.write(step.folder / "rows.arrow", step.rows.iter_slices(size)))]
        assert polars.concat([part.table for part in parts]).equals(whole.table)
        assert polars.concat([part.events for part in parts]).equals(whole.events)


def does_no_more_where_it_is_applied_twice(step: Trial) -> None:
    """Unless the example says why; what it says must hold."""
    once = step(step.rows)
    try:
        twice = step(once.table)
        is_same = twice.table.equals(once.table) and set(twice.events["action"]) <= {"flag"}
    except DataError:
        is_same = False
    assert is_same == (step.example.twice is None)


def takes_no_rows(step: Trial) -> None:
    cleaned = step(step.rows.clear())
    assert cleaned.table.equals(step.rows.clear())
    assert (cleaned.events.height, cleaned.events.schema) == (0, EVENT)


STEP_CONTRACTS: list[Callable[[Trial], None]] = [
    does_what_its_example_says,
    accounts_for_every_row_whatever_the_threads,
    gives_the_same_however_rows_are_cut_into_batches,
    does_no_more_where_it_is_applied_twice,
    takes_no_rows,
]


def trial(name: str, folder: Path) -> Trial:
    example = golden(Step, name)
    write(example.files, folder)
    component = find("cleaning", name)
    config = component.config_type.model_validate(example.options)
    return Trial(component, config, example, polars.concat([full(example.rows), messy()], how="diagonal"), folder)


@pytest.mark.parametrize("contract", STEP_CONTRACTS, ids=lambda contract: contract.__name__)
@pytest.mark.parametrize("name", names("cleaning"))
def test_every_step(name: str, contract: Callable[[Trial], None], tmp_path: Path) -> None:
    contract(trial(name, tmp_path))


# ---- splitting ----


@pytest.mark.parametrize("name", names("splitting"))
def test_every_split_deals_its_example_as_the_example_says(name: str) -> None:
    example, component = golden(Split, name), find("splitting", name)
    config = component.config_type.model_validate(example.options)
    for rows in (example.rows, example.rows[::-1]):
        keys = polars.DataFrame(rows)
        keys = keys.with_columns(order=order_keys(keys["group"], seed=example.seed))
        dealt = component.function(config, keys, valid=example.valid, test=example.test)
        assert (dealt.dtype, len(dealt)) == (polars.Enum(SPLITS), len(rows))
        table = keys.with_columns(split=dealt.cast(polars.String))
        found = {split: sorted(table.filter(split=split)["id"]) for split in SPLITS}
        assert found == example.expected
        assert (
            table.group_by("group").agg(polars.col("split").n_unique())["split"].to_list()
            == [1] * keys["group"].n_unique()
        )
