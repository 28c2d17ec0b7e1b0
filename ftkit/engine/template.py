"""Chat templates of others: jinja in a sandbox, with limits of time and size.

Knows a tokenizer and messages, no token ids. A template is a program: each turn of a loop, call and value that it makes
is counted before it is paid, so that no step is long.
"""

from __future__ import annotations

import operator
import re
import time
from collections.abc import Callable, Iterator, Sequence
from contextvars import ContextVar
from dataclasses import dataclass
from functools import cache, wraps
from typing import Any

from jinja2 import nodes
from jinja2.exceptions import TemplateError
from jinja2.sandbox import ImmutableSandboxedEnvironment
from jinja2.visitor import NodeTransformer

from ftkit.errors import DataError
from ftkit.records import Message

SECONDS = 1.0  # of processor time for one conversation, and a second more for each million characters of it
LARGEST = 1 << 23  # characters of a value, and of the whole text, beyond those of the conversation
_A_VALUE = 32  # characters that a number, or a place in a list, counts for
_BITS = 1 << 13
_WIDE = re.compile(r"\d{5}|\*")
_UNFIT = ("lipsum", "cycler", "joiner")


class TemplateLimitError(TemplateError):
    """The template takes too long, or writes too much."""


class ChatTemplate:
    """The chat template of a tokenizer."""

    def __init__(self, tokenizer: Any) -> None:
        self._tokenizer = tokenizer

    def render(self, messages: Sequence[Message], **options: Any) -> str:
        """The text of a conversation. Raises DataError where the template refuses it, fails, or exceeds its limits."""
        budget = _Budget(sum(len(message["content"]) for message in messages))
        token = _budget.set(budget)
        try:
            text = self._tokenizer.get_chat_template(tools=options.get("tools"))
            values = {**self._tokenizer.special_tokens_map, "tools": None, "documents": None, **options}
            written = []
            for part in _compiled(text).generate(messages=[dict(each) for each in messages], **values):
                budget.charge(len(part))
                written.append(part)
            return "".join(written)
        except Exception as error:  # a template can fail as a program can: divide by zero, recurse, look up
            roles = ", ".join(message["role"] for message in messages)
            what = "takes too much" if isinstance(error, TemplateLimitError) else "refuses these messages"
            reason = (str(error).strip() or type(error).__name__).splitlines()[0][:300]
            raise DataError(
                f"the model's chat template {what} (roles: {roles}): {reason}; expected are turns of user and "
                "assistant; change the rows, model.chat_template_kwargs, or the template of the model"
            ) from None
        finally:
            _budget.reset(token)


@dataclass
class _Budget:
    """What one rendering may still take. `size` is that of the conversation."""

    size: int

    def __post_init__(self) -> None:
        self.largest = LARGEST + 8 * self.size
        self.left = 8 * self.largest
        self.deadline = time.thread_time() + SECONDS + self.size / 1e6

    def charge(self, size: int = 1) -> None:
        """Raise TemplateLimitError where a step is too much."""
        self.left -= size
        if size > self.largest or self.left < 0:
            raise TemplateLimitError(f"it writes more than {self.largest:,} characters")
        if time.thread_time() > self.deadline:
            raise TemplateLimitError(f"it runs for more than {SECONDS:g} s of processor time")


_budget: ContextVar[_Budget] = ContextVar("budget")


def _weigh(value: Any) -> Any:
    """Charge for a value as large as it would be when written out; values within it that are shared count each time."""
    budget, left, size = _budget.get(), [value], 0
    while left and size <= budget.largest:
        each = left.pop()
        size += len(each) if isinstance(each, str) else _A_VALUE
        if isinstance(each, (list, tuple)):
            left += each
        elif isinstance(each, dict):
            left += [*each, *each.values()]
        elif isinstance(each, int) and each.bit_length() > _BITS:
            raise TemplateLimitError("it computes with numbers of thousands of digits")
    budget.charge(size)
    return value


def _times(left: Any, right: Any) -> Any:
    for count, each in ((left, right), (right, left)):
        if isinstance(count, int) and isinstance(each, (str, list, tuple)):
            _budget.get().charge(max(count, 0) * max(len(each), 1))
    return left * right


def _power(base: Any, exponent: Any) -> Any:
    if isinstance(base, int) and isinstance(exponent, int) and base.bit_length() * abs(exponent) > _BITS:
        raise TemplateLimitError("it computes with numbers of thousands of digits")
    return base**exponent


def _modulo(left: Any, right: Any) -> Any:
    if isinstance(left, str) and _WIDE.search(left):
        raise TemplateLimitError("it pads a text to more than 9,999 characters")
    return left % right


_OPERATORS: dict[str, Callable[[Any, Any], Any]] = {
    "+": operator.add,
    "*": _times,
    "**": _power,
    "%": _modulo,
}


def _check_growth(name: str, args: Sequence[Any]) -> None:
    """Raise TemplateLimitError where a function that makes long texts of short ones would make one too long."""
    texts = [len(each) for each in args if isinstance(each, (str, list, tuple))]
    numbers = [abs(each) for each in args if isinstance(each, int)]
    if name in ("format", "format_map") and any(isinstance(each, str) and _WIDE.search(each) for each in args):
        raise TemplateLimitError("it pads a text to more than 9,999 characters")
    if name in ("center", "indent", "ljust", "rjust", "zfill", "expandtabs", "tojson", "batch", "slice", "round"):
        _budget.get().charge(max([*numbers, 1]) * max([*texts, 1]))
    if name in ("replace", "join", "wordwrap", "translate") and len(texts) > 1:
        _budget.get().charge(texts[0] * max(texts[1:]))


def _limited(name: str, function: Callable[..., Any]) -> Callable[..., Any]:
    """A filter that is charged for what it is given and makes."""
    skipped = int(getattr(function, "jinja_pass_arg", None) is not None)

    @wraps(function)
    def limited(*args: Any, **kwargs: Any) -> Any:
        args = tuple(list(each) if isinstance(each, Iterator) else each for each in args)  # or none could be weighed
        given = [*args[skipped:], *kwargs.values()]
        _check_growth(name, given)
        _weigh(given)
        return _weigh(function(*args, **kwargs))

    return limited


class _Limits(NodeTransformer):
    """Puts a charge into every loop and macro, and around every text, list or mapping that is put together."""

    def visit_For(self, node: nodes.For) -> nodes.Node:
        return self._counted(node)

    def visit_Macro(self, node: nodes.Macro) -> nodes.Node:
        return self._counted(node)

    def visit_CallBlock(self, node: nodes.CallBlock) -> nodes.Node:
        return self._counted(node)

    def visit_Concat(self, node: nodes.Concat) -> nodes.Node:
        self.generic_visit(node)
        return _call("joined", node.nodes)

    def visit_List(self, node: nodes.List) -> nodes.Node:
        self.generic_visit(node)
        return _call("weigh", [node])

    def visit_Dict(self, node: nodes.Dict) -> nodes.Node:
        self.generic_visit(node)
        return _call("weigh", [node])

    def visit_Tuple(self, node: nodes.Tuple) -> nodes.Node:
        self.generic_visit(node)
        return _call("weigh", [node]) if node.ctx == "load" else node

    def _counted(self, node: Any) -> nodes.Node:
        self.generic_visit(node)
        size = sum(len(text.data) for text in node.find_all(nodes.TemplateData))
        node.body.insert(0, nodes.ExprStmt(_call("charge", [nodes.Const(size + 1)])))
        return node  # type: ignore[no-any-return]


def _call(name: str, args: list[nodes.Expr]) -> nodes.Call:
    return nodes.Call(nodes.EnvironmentAttribute(name), args, [], None, None)


class _Environment(ImmutableSandboxedEnvironment):
    """The sandbox, counted."""

    intercepted_binops = frozenset(_OPERATORS)

    def _parse(self, source: str, name: str | None, filename: str | None) -> nodes.Template:
        tree = _Limits().visit(super()._parse(source, name, filename))
        assert isinstance(tree, nodes.Template)
        return tree.set_environment(self)  # type: ignore[return-value]

    def call_binop(self, context: Any, operator: str, left: Any, right: Any) -> Any:  # noqa: ARG002
        return _weigh(_OPERATORS[operator](left, right))

    def call(self, context: Any, function: Any, *args: Any, **kwargs: Any) -> Any:
        if function in (self.charge, self.weigh, self.joined):
            return function(*args)
        given = [*args, *kwargs.values()]
        owner = getattr(getattr(function, "__wrapped__", function), "__self__", None)
        whole = [owner, *given] if isinstance(owner, (str, list, tuple, dict)) else given
        _check_growth(getattr(function, "__name__", ""), whole)
        _weigh(given)
        return _weigh(super().call(context, function, *args, **kwargs))

    @staticmethod
    def charge(size: int) -> None:
        _budget.get().charge(size)

    @staticmethod
    def weigh(value: Any) -> Any:
        return _weigh(value)

    @staticmethod
    def joined(*parts: Any) -> str:
        _weigh(list(parts))
        return "".join(map(str, parts))


@cache
def _compiled(text: str) -> Any:
    """The template; its language is that of transformers, whose globals, filters and tags it takes."""
    from transformers.utils.chat_template_utils import _compile_jinja_template

    theirs = _compile_jinja_template("").environment
    environment = _Environment(
        trim_blocks=theirs.trim_blocks,
        lstrip_blocks=theirs.lstrip_blocks,
        extensions=[type(each) for each in theirs.extensions.values()],
        optimized=False,  # or constants would be computed, without limits, while it is compiled
        finalize=_weigh,
    )
    environment.globals |= {name: value for name, value in theirs.globals.items() if name not in _UNFIT}
    for name in _UNFIT:
        environment.globals.pop(name, None)
    environment.filters |= theirs.filters
    for name in ("urlize", "random", "pprint"):
        del environment.filters[name]
    environment.filters = {name: _limited(name, function) for name, function in environment.filters.items()}
    return environment.from_string(text)
