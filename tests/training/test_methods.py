"""What every tuning method keeps to, what each of ours trains and from what defaults, and what it refuses."""

from __future__ import annotations

import sys
from dataclasses import replace
from pathlib import Path
from typing import Any, get_args

import oracle
import pytest
import torch
from pydantic import ValidationError
from tiny_models import context, loaded_of, save_base, spec_of
from tiny_trainings import loss_of

from ftkit import Trainer
from ftkit.contracts import MethodDefaults
from ftkit.engine.forward import Way
from ftkit.engine.load import LoadedModel, load
from ftkit.engine.train import Row
from ftkit.errors import RecipeError
from ftkit.registry import choice_of, find, names

METHODS = names("methods")
EXPECTED = {  # name: (learning rate, weight decay, quantisation of the base)
    "full": (2e-5, 0.01, "none"),
    "lora": (2e-4, 0.0, "none"),
    "qlora": (2e-4, 0.0, "nf4"),
}


def choose(value: Any) -> Any:
    return choice_of("methods").model_validate(value)


def module_of(name: str) -> Any:
    return sys.modules[find("methods", name).function.__module__]


def base_for(name: str, tmp_path: Path) -> LoadedModel:
    save_base(tmp_path / "base")
    return load(spec_of(tmp_path / "base", quantize=module_of(name).QUANTIZE), context(tmp_path))


ROWS = [
    Row([5, 6, 7, 8, 9], [False, False, True, True, True]),
    Row([10, 11, 12, 13, 14, 15, 16, 17], [False] * 7 + [True], weight=2.0),
]


def moved(model: Any) -> None:
    """What is trained is elsewhere than it began: an adapter begins with a factor of zeros."""
    torch.manual_seed(0)
    with torch.no_grad():
        for parameter in trained(model).values():
            parameter.add_(torch.randn_like(parameter), alpha=0.05)


def trained(model: Any) -> dict[str, torch.Tensor]:
    return {name: parameter for name, parameter in model.named_parameters() if parameter.requires_grad}


@pytest.mark.parametrize("name", EXPECTED)
def test_a_method_brings_its_defaults(name: str) -> None:
    rate, decay, quantize = EXPECTED[name]
    assert MethodDefaults(learning_rate=rate, weight_decay=decay) == module_of(name).DEFAULTS
    assert quantize == module_of(name).QUANTIZE


@pytest.mark.parametrize("name", METHODS)
def test_training_by_any_method_lowers_the_loss(name: str, tmp_path: Path) -> None:
    save_base(tmp_path / "base")
    rows = [{"input": f"message number {k}", "target": ("card", "cash?")[k % 2]} for k in range(12)]
    options: Any = {"epochs": 3, "global_batch_size": 4, "learning_rate": 1e-2, "precision": "float32"}
    options |= {"output_dir": tmp_path / "out", "ctx": context(tmp_path)}
    steps = Trainer(str(tmp_path / "base"), name, rows, **options).fit().steps
    assert steps[-1]["loss"] < steps[0]["loss"]


@pytest.mark.parametrize("way", get_args(Way))
@pytest.mark.parametrize("name", METHODS)
def test_loss_and_gradients_of_any_method_equal_the_oracles(name: str, way: Way, tmp_path: Path) -> None:
    base = base_for(name, tmp_path)
    built = choose(name)(base)
    moved(built.model)
    built.model.eval()
    found, expected = loss_of(replace(base, model=built.model), ROWS, way), oracle.mean_loss(built.model, ROWS)
    tolerance = 1e-4 if module_of(name).QUANTIZE == "none" else 1e-3  # of float32; of a quantised base
    assert found.item() == pytest.approx(expected.item(), rel=tolerance)
    parameters = list(trained(built.model).values())
    ours, theirs = (
        torch.cat([one.flatten() for one in torch.autograd.grad(loss, parameters)]) for loss in (found, expected)
    )
    assert (ours - theirs).norm() <= tolerance * theirs.norm()


@pytest.mark.parametrize("name", METHODS)
def test_what_a_method_saves_it_loads(name: str, tmp_path: Path) -> None:
    one = choose(name)(base_for(name, tmp_path))
    moved(one.model)
    one.save(tmp_path / "saved")
    two = choose(name)(base_for(name, tmp_path))
    two.load(tmp_path / "saved")
    assert list((tmp_path / "saved").glob("*.safetensors"))
    for key, parameter in trained(one.model).items():
        assert torch.equal(parameter, trained(two.model)[key]), key


@pytest.mark.parametrize("name", ["lora", "qlora"])
def test_all_linear_layers_but_the_output_head_get_an_adapter(name: str, tmp_path: Path) -> None:
    built = choose(name)(base_for(name, tmp_path))
    adapted = {key.split(".lora_")[0].rsplit(".", 1)[-1] for key in trained(built.model)}
    assert adapted == {"q_proj", "k_proj", "v_proj", "o_proj", "gate_proj", "up_proj", "down_proj"}
    assert built.kind == "adapter"
    assert {parameter.dtype for parameter in trained(built.model).values()} == {torch.float32}


def test_the_options_reach_the_adapter(tmp_path: Path) -> None:
    options = {"rank": 3, "alpha": 6, "dropout": 0.2, "target_modules": ["q_proj"]}
    built = choose({"lora": options})(base_for("lora", tmp_path))
    assert all("q_proj" in key and 3 in parameter.shape for key, parameter in trained(built.model).items())
    config = built.model.peft_config["default"]
    assert (config.r, config.lora_alpha, config.lora_dropout) == (3, 6, 0.2)


def test_full_trains_everything_in_float32() -> None:
    loaded = loaded_of(dtype=torch.bfloat16)
    built = choose("full")(loaded)
    assert trained(built.model).keys() == dict(built.model.named_parameters()).keys()
    assert {parameter.dtype for parameter in built.model.parameters()} == {torch.float32}
    assert built.kind == "model"


def test_layers_that_are_not_there_are_refused_with_those_that_are(tmp_path: Path) -> None:
    with pytest.raises(RecipeError, match=r"\['no_proj'\] does not fit this model.*q_proj"):
        choose({"lora": {"target_modules": ["no_proj"]}})(base_for("lora", tmp_path))


@pytest.mark.parametrize("options", [{"rank": 0}, {"alpha": 0}, {"dropout": 1.0}, {"target_modules": []}, {"r": 8}])
def test_options_out_of_range_are_refused(options: dict[str, Any]) -> None:
    with pytest.raises(ValidationError):
        choose({"lora": options})
