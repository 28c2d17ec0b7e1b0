"""Model folders of others: what they hold is looked at before a library opens it, and templates end in time."""

from __future__ import annotations

import json
import os
import re
from pathlib import Path
from typing import Any

import pytest
from mutations import TEMPLATES
from tiny_models import CHATML, byte_level, context, save_base, spec_of

from ftkit.engine.load import load, load_renderer, load_tuned
from ftkit.engine.template import ChatTemplate
from ftkit.errors import ArtifactError, DataError, FtkitError, MachineError
from ftkit.records import Message
from ftkit.store import file_digest

MESSAGES: list[Message] = [{"role": "user", "content": "Where is it?"}, {"role": "assistant", "content": "There."}]


@pytest.fixture
def base(tmp_path: Path) -> Path:
    save_base(tmp_path / "base")
    return tmp_path / "base"


def changed(path: Path, **values: Any) -> None:
    path.write_text(json.dumps({**json.loads(path.read_bytes()), **values}), encoding="utf-8")


@pytest.mark.parametrize(
    ("file", "values", "message"),
    [
        ("config.json", {"num_attention_heads": "4"}, "num_attention_heads"),
        ("config.json", {"rms_norm_eps": []}, "rms_norm_eps"),
        ("config.json", {"num_hidden_layers": 100_000}, "num_hidden_layers: asks for 100,000 layers"),
        ("config.json", {"hidden_size": 10**30}, "hidden_size: the number is beyond all sizes"),
        (
            "config.json",
            {"_attn_implementation": "me/kernels:attn"},
            "_attn_implementation: 'me/kernels:attn' would load",
        ),
        ("config.json", {"eos_token_id": {"a": 1}}, "eos_token_id"),
        ("generation_config.json", {"eos_token_id": "x"}, "eos_token_id: is 'x'; expected the id of a token"),
        ("generation_config.json", {"eos_token_id": [0, None]}, "eos_token_id"),
        ("tokenizer_config.json", {"model_max_length": "long"}, "the tokenizer cannot be loaded"),
        ("tokenizer_config.json", {"eos_token": 7}, "eos_token"),
        ("tokenizer.json", {"model": 3}, "the tokenizer cannot be loaded"),
        ("tokenizer.json", {"added_tokens": "x"}, "the tokenizer cannot be loaded"),
    ],
)
def test_a_wrong_value_is_named_with_its_file(
    file: str, values: dict[str, Any], message: str, base: Path, tmp_path: Path
) -> None:
    changed(base / file, **values)
    with pytest.raises(MachineError, match=f"{re.escape(str(base / file))}: .*{re.escape(message)}"):
        load(spec_of(base), context(tmp_path))


@pytest.mark.parametrize("file", ["config.json", "tokenizer.json", "model.safetensors", "chat_template.jinja"])
@pytest.mark.parametrize("way", ["pipe", "ring", "folder"])
def test_what_is_no_file_is_never_opened(file: str, way: str, base: Path, tmp_path: Path) -> None:
    path = base / file
    path.unlink()
    {"pipe": os.mkfifo, "ring": lambda path: path.symlink_to(path), "folder": os.mkdir}[way](path)
    with pytest.raises(MachineError, match=re.escape(str(path)) if way != "ring" else "base"):
        load(spec_of(base), context(tmp_path))


def test_a_token_beyond_the_embeddings_is_named_where_a_text_holds_it(base: Path, tmp_path: Path) -> None:
    tokenizer = byte_level()
    tokenizer.add_tokens(["<far>"])
    tokenizer.save_pretrained(base)
    renderer = load_renderer(spec_of(base), context(tmp_path))
    assert renderer.render(MESSAGES[:1], "near").target_ids
    with pytest.raises(
        DataError,
        match=r"the token '<far>' has the id 343, and the model knows 343 .vocab_size in config.json.: take it out",
    ):
        renderer.render([{"role": "user", "content": "how <far>?"}], "near")


def test_a_base_that_is_an_adapter_on_another_is_refused(base: Path, tmp_path: Path) -> None:
    (base / "adapter_config.json").write_text("{}", encoding="utf-8")
    with pytest.raises(MachineError, match=r"adapter_config\.json: the folder holds an adapter, no whole model"):
        load(spec_of(base), context(tmp_path))


@pytest.mark.parametrize(
    ("file", "values", "message"),
    [
        (
            "ftkit.json",
            {"weights": {"adapter_model.bin": "x"}},
            r"ftkit\.json: weights: 'adapter_model\.bin' is no safetensors",
        ),
        ("ftkit.json", {"weights": {"../w.safetensors": "x"}}, r"weights: '\.\./w\.safetensors' is no safetensors"),
        ("ftkit.json", {"base": 3}, r"ftkit\.json: base: "),
        ("adapter_config.json", {"target_modules": "(a+)+$"}, r"adapter_config\.json: target_modules: expected a list"),
        (
            "adapter_config.json",
            {"rank_pattern": {"(a+)+$": 3}},
            r"adapter_config\.json: rank_pattern: ftkit writes none",
        ),
        ("adapter_config.json", {"peft_type": "IA3"}, r"adapter_config\.json: peft_type"),
        ("adapter_config.json", {"r": "x"}, r"adapter_config\.json: the adapter cannot be loaded"),
    ],
)
def test_an_adapter_that_holds_more_than_ftkit_writes_is_refused(
    file: str, values: dict[str, Any], message: str, ran: Any, base: Path, tmp_path: Path
) -> None:
    import shutil

    (found,) = (ran.folder / "runs" / "small").glob("train-*/adapter")
    adapter = shutil.copytree(found, tmp_path / "adapter")
    pickle = adapter / "adapter_model.bin"
    pickle.write_bytes(b"\x80\x04.")
    if "adapter_model.bin" in values.get("weights", {}):
        values = {"weights": {"adapter_model.bin": file_digest(pickle)}}
        (adapter / "adapter_model.safetensors").unlink()
    changed(adapter / file, **values)
    with pytest.raises(ArtifactError, match=message):
        load_tuned(spec_of(ran.folder / "base"), adapter, "adapter", context(tmp_path))


LONG = [
    *TEMPLATES[:5],
    "{% set n = namespace(x=[1]) %}{% for a in range(60) %}{% set n.x = [n.x, n.x] %}{% endfor %}{{ n.x }}",
    "{% set n = namespace(x='ab') %}{% for a in range(60) %}{% set n.x = n.x.replace('a', n.x) %}{% endfor %}",
    "{% set n = namespace(x='ab') %}{% for a in range(60) %}{% set n.x %}{{ n.x }}{{ n.x }}{% endset %}{% endfor %}",
    "{{ '%999999999d' % 1 }}",
    "{{ '{:>999999999}'.format(1) }}",
    "{{ 'x' | indent(999999999, true) }}",
    "{{ 5 | round(-1000000000) }}",
    "{{ [1] | tojson(indent=999999999) }}",
    "{% for i in range(99999) %}" + "abcdefghij" * 1000 + "{% endfor %}",
]


@pytest.mark.parametrize("template", LONG, ids=range(len(LONG)))
def test_a_template_without_end_or_measure_is_refused(template: str) -> None:
    tokenizer = byte_level()
    tokenizer.chat_template = template
    with pytest.raises(DataError, match=r"the model's chat template (takes too much|refuses these messages)"):
        ChatTemplate(tokenizer).render(MESSAGES, add_generation_prompt=True)


@pytest.mark.parametrize("template", TEMPLATES, ids=range(len(TEMPLATES)))
def test_whatever_a_template_does_is_an_error_in_words_or_a_text(template: str) -> None:
    tokenizer = byte_level()
    tokenizer.chat_template = template
    try:
        assert isinstance(ChatTemplate(tokenizer).render(MESSAGES), str)
    except FtkitError as error:
        assert "\n" not in str(error)


@pytest.mark.parametrize(
    "template",
    [
        CHATML,
        "{%- for m in messages -%}{% if loop.first %}["
        "{% endif %}{{ m['role'] ~ ': ' ~ m.content | trim }}{% if loop.last %}]{% endif %}{% endfor %}",
        "{% set ns = namespace(n=0) %}{% for m in messages %}"
        "{% set ns.n = ns.n + 1 %}{{ ns.n }}{{ m.content.split('?')[0] }}{% endfor %}",
        "{% macro say(m) %}<{{ m.role | upper }}>{{ m | tojson }}{% endmacro %}"
        "{% for m in messages[::-1] %}{{ say(m) }}{% endfor %}",
        "{% for role, text in [('a', 'b')] %}{{ role + text }}{% endfor %}{% generation %}x{% endgeneration %}",
        "{{ messages | map(attribute='content') | join('|') }}{{ '%s-%s' % ('a', 1) }}"
        "{{ '{:>4}'.format(7) }}{{ {'a': [1, 2]} | tojson }}",
        "{{ messages | selectattr('role', 'equalto', 'user') | list | length }}{{ bos_token }}"
        "{{ eos_token }}{{ enable_thinking }}",
    ],
    ids=range(7),
)
def test_a_template_writes_what_transformers_writes(template: str) -> None:
    tokenizer = byte_level()
    tokenizer.chat_template = template
    options = {"add_generation_prompt": True, "enable_thinking": False}
    expected = tokenizer.apply_chat_template(MESSAGES, tokenize=False, **options)
    assert ChatTemplate(tokenizer).render(MESSAGES, **options) == expected
