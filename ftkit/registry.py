"""Components: how they are declared, found and chosen. One folder is one kind, one file is one component.

Knows no particular component. A component file holds one `Config`, one function and one decorator line:

    class Length(Config):
        max_words: int = 400

    @component
    def apply(config: Length, table: Table, ctx: Context) -> Cleaned: ...

Its name is the name of its file, its kind the name of its folder.
"""

from __future__ import annotations

import difflib
import importlib
import inspect
import pkgutil
import warnings
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from functools import cache
from typing import Any, ClassVar, TypeVar

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, create_model, model_serializer, model_validator

PACKAGES = {
    "sources": "ftkit.prepare.sources",
    "shapes": "ftkit.prepare.shapes",
    "cleaning": "ftkit.prepare.cleaning",
    "splitting": "ftkit.prepare.splitting",
    "prompting": "ftkit.answers.prompting",
    "extractors": "ftkit.answers.extractors",
    "methods": "ftkit.training.methods",
    "metrics": "ftkit.answers.metrics",
    "sections": "ftkit.report.sections",
}
KINDS = tuple(PACKAGES)


class Config(BaseModel):
    """Base of every block of a recipe: unknown keys refused, no coercion, frozen."""

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True, allow_inf_nan=False)

    runs_code: ClassVar[bool] = False
    """True for components that run code from elsewhere; they need --trust-remote-code."""

    bounded: ClassVar[bool] = True
    """False for metrics whose rows may score outside [0, 1]; their intervals come from resampling."""

    def code_id(self) -> str:
        """Content id of that code, for the keys of the stages that run it."""
        raise NotImplementedError(type(self).__name__)


@dataclass(frozen=True, slots=True)
class Component:
    """A function of one kind with the Config it takes first. `doc` is the docstring of its file."""

    kind: str
    name: str
    config_type: type[Config]
    function: Callable[..., Any]
    doc: str

    @property
    def summary(self) -> str:
        """The first line of `doc`."""
        return self.doc.split("\n")[0]


_components: dict[tuple[str, str], Component] = {}
Function = TypeVar("Function", bound=Callable[..., Any])


def component(function: Function) -> Function:
    """Register a function under the name of its file; its first parameter's type is its Config."""
    module = inspect.getmodule(function)
    assert module is not None
    _, kind, name = module.__name__.rsplit(".", 2)
    first = next(iter(inspect.signature(function).parameters))
    annotation = inspect.signature(function).parameters[first].annotation
    config_type = getattr(module, annotation) if isinstance(annotation, str) else annotation
    assert issubclass(config_type, Config), f"{module.__name__}: the first parameter takes a Config"
    _components[kind, name] = Component(kind, name, config_type, function, inspect.getdoc(module) or "")
    return function


@cache
def names(kind: str) -> tuple[str, ...]:
    """Names of all components of a kind, sorted, from a listing of its folder."""
    package = importlib.import_module(PACKAGES[kind])
    return tuple(sorted(info.name for info in pkgutil.iter_modules(package.__path__) if info.name[0] != "_"))


def find(kind: str, name: str) -> Component:
    """The component of that name. Raises KeyError with a suggestion where there is none."""
    if (kind, name) in _components:
        return _components[kind, name]
    if name not in names(kind):
        raise KeyError(f"no {kind} component is called {name!r}{suggest(name, names(kind))}")
    importlib.import_module(f"{PACKAGES[kind]}.{name}")
    return _components[kind, name]


def suggest(word: str, known: Iterable[str]) -> str:
    """'; did you mean …?' where a known name is near, else the known names themselves."""
    known = list(known)
    near = nearest(word, known)
    if near is not None:
        return f"; did you mean {near!r}?"
    return f"; known: {', '.join(known)}" if known else ""


def nearest(word: str, known: Iterable[str]) -> str | None:
    """The known name that a word is a slip of, if any."""
    return next(iter(difflib.get_close_matches(word, list(known), n=1, cutoff=0.6)), None)


class Choice(Config):
    """One of several named things: written as `name`, or as `{name: {options}}`.

    Subclasses have one optional field per name, so that errors and the JSON Schema know where they are.
    """

    kind: ClassVar[str] = ""

    @model_validator(mode="before")
    @classmethod
    def _from_name(cls, value: Any) -> Any:
        if isinstance(value, Choice):
            return value
        if isinstance(value, str):
            value = {value: {}}
        if not isinstance(value, dict) or len(value) != 1:
            raise ValueError("expected one name, or {name: {options}}" + suggest("", cls.model_fields))
        ((name, options),) = value.items()
        return {name: {} if options is None else options}

    @model_serializer(mode="plain")
    def _only_what_was_chosen(self) -> dict[str, Any]:
        return {self.name: self.options.model_dump(mode="json")}

    @property
    def name(self) -> str:
        """The name that was chosen."""
        (name,) = self.model_fields_set
        return name

    @property
    def options(self) -> Config:
        """The Config of what was chosen."""
        options = getattr(self, self.name)
        assert isinstance(options, Config)
        return options

    @property
    def component(self) -> Component:
        """The component that was chosen."""
        return find(self.kind, self.name)

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        """Call the chosen component with its options first."""
        return self.component.function(self.options, *args, **kwargs)


@cache
def choice_of(kind: str) -> type[Choice]:
    """The Choice type over all components of a kind."""
    found = [find(kind, name) for name in names(kind)]
    fields: dict[str, Any] = {
        each.name: (each.config_type | None, Field(None, description=each.summary)) for each in found
    }
    with warnings.catch_warnings():  # of a component called as a method that pydantic calls deprecated: json
        warnings.filterwarnings("ignore", message="Field name .* shadows an attribute", category=UserWarning)
        choice = create_model(f"{kind.capitalize()}Choice", __base__=Choice, **fields)
    choice.kind = kind
    choice.model_config["json_schema_extra"] = name_or_object(list(fields))
    choice.model_rebuild(force=True)
    return choice


def one_or_more(one: Any) -> BeforeValidator:
    """What makes a list's field take one value too; `one` is the type of that value, for the JSON Schema."""

    def as_list(value: Any) -> Any:
        return value if isinstance(value, list) else [value]

    return BeforeValidator(as_list, json_schema_input_type=one | list[one])


def name_or_object(known: list[str]) -> Callable[[dict[str, Any]], None]:
    """What makes a Choice's JSON Schema take the bare name too; `json_schema_extra` of its model_config."""

    def rewrite(schema: dict[str, Any]) -> None:
        as_object = {**schema, "minProperties": 1, "maxProperties": 1}
        as_object["properties"] = {
            name: {key: inside for key, inside in value.items() if key != "default"}
            for name, value in schema["properties"].items()
        }
        schema.clear()
        schema["anyOf"] = [{"enum": known}, as_object]

    return rewrite
