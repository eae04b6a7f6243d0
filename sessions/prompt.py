"""Templates in prompts, greetings and script rules: the part of Jinja2 that fills in a text, and no more.

`{{ name }}`, `{{ order.status }}`, filters, `{% if %}` and `{% for %}` work. What can run away does not: calls, `set`,
macros, includes, powers, more than two loops inside each other. What is left is bounded in steps, time and size, so a
silly template costs milliseconds. A variable that nobody gave stays visible as `{{ name }}`; a template that is broken
is shown as it was written. Values are never templates: what a user wrote is only ever filled in.
"""

from __future__ import annotations

import logging
import operator
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from functools import lru_cache
from typing import Any, Final

from jinja2 import TemplateError, nodes
from jinja2.runtime import Context
from jinja2.sandbox import ImmutableSandboxedEnvironment
from jinja2.utils import pass_context
from jinja2.visitor import NodeTransformer

from sessions.filters import FILTERS, MAX_OUTPUT, Missing, TooMuchError, asked_for, default, join, shown, sized

log = logging.getLogger(__name__)

MAX_TEMPLATE: Final = 65_536
MAX_STEPS: Final = 20_000
MAX_SECONDS: Final = 0.1
"""Of this thread's processor time, so that a busy machine does not make a good template fail."""
MAX_NUMBER: Final = 10**18

_BUDGET: Final = "%budget"  # not a name a template can write, and so are the filters that begin with %


def render(template: str, values: Mapping[str, object]) -> str:
    """`template` with `values` filled in. Never raises: a template that cannot be rendered comes back as written."""
    if "{" not in template:
        return template
    return _compiled(template).render(values)


class _Budget:
    __slots__ = ("deadline", "steps")

    def __init__(self) -> None:
        self.steps = 0
        self.deadline = 0.0

    def step(self) -> None:
        self.steps += 1
        if self.steps > MAX_STEPS:
            raise TooMuchError(f"it takes more than {MAX_STEPS:,} steps")
        now = time.thread_time()
        if not self.deadline:
            self.deadline = now + MAX_SECONDS
        elif now > self.deadline:
            raise TooMuchError(f"it takes more than {MAX_SECONDS:g} s of work")


_TESTS: Final = frozenset(
    {"defined", "undefined", "none", "number", "string", "mapping", "sequence", "true", "false", "in", "even", "odd"}
)


def _guarded(name: str, apply: Callable[..., Any]) -> Callable[..., Any]:
    """A filter that counts as a step and lets a missing variable through, to be seen at the end."""
    takes_missing = apply is default

    @pass_context
    def guarded(context: Context, value: Any, *args: Any, **kwargs: Any) -> Any:
        context[_BUDGET].step()
        if isinstance(value, Missing) and not takes_missing:
            return Missing(name=f"{asked_for(value)}|{name}")
        return apply(value, *args, **kwargs)

    return guarded


@pass_context
def _paced(context: Context, value: Iterable[object]) -> Iterator[object]:
    """What a loop goes through; every round is a step."""
    budget: _Budget = context[_BUDGET]
    for item in value:
        budget.step()
        yield item


@pass_context
def _glued(context: Context, values: list[object]) -> str:
    context[_BUDGET].step()
    return join(values)


@pass_context
def _named(_context: Context, value: Any, path: str) -> Any:
    """A missing part of a value, under the whole name it was asked for."""
    return Missing(name=path) if isinstance(value, Missing) else value


class _Environment(ImmutableSandboxedEnvironment):
    intercepted_binops = frozenset({"+", "-", "*", "/", "//", "%"})

    def getattr(self, obj: Any, attribute: str) -> Any:
        """A part of a value. Templates know what values hold, not their methods: `result.items` is what was sent."""
        if isinstance(obj, dict):
            return obj[attribute] if attribute in obj else self.undefined(obj=obj, name=attribute)
        part = super().getattr(obj, attribute)
        return self.undefined(obj=obj, name=attribute) if callable(part) else part

    def call_binop(self, context: Context, operator: str, left: Any, right: Any) -> Any:
        for side in (left, right):
            if isinstance(side, Missing):
                return side
        if isinstance(left, str) and isinstance(right, str) and operator == "+":
            return sized(left + right)
        if not (isinstance(left, int | float) and isinstance(right, int | float)):
            raise TooMuchError(f"`{operator}` is for numbers, and `~` puts texts together")
        if max(abs(left), abs(right)) > MAX_NUMBER:
            raise TooMuchError("a number is too large")
        return self.binop_table[operator](left, right)


_ENV: Final = _Environment(
    autoescape=False, undefined=Missing, finalize=shown, keep_trailing_newline=True, optimized=False, cache_size=0
)
_ENV.globals.clear()
_ENV.binop_table = {"+": operator.add, "-": operator.sub, "*": operator.mul} | {
    "/": operator.truediv,
    "//": operator.floordiv,
    "%": operator.mod,
}
_ENV.filters = {name: _guarded(name, apply) for name, apply in FILTERS.items()}
_ENV.filters |= {"%paced": _paced, "%glued": _glued, "%named": _named}
_ENV.tests = {name: test for name, test in _ENV.tests.items() if name in _TESTS}

_ALLOWED: Final = (
    nodes.Template, nodes.Output, nodes.TemplateData, nodes.Const, nodes.Name, nodes.Getattr, nodes.Getitem,
    nodes.Slice, nodes.Filter, nodes.Test, nodes.Compare, nodes.Operand, nodes.And, nodes.Or, nodes.Not, nodes.CondExpr,
    nodes.Concat, nodes.If, nodes.For, nodes.List, nodes.Tuple, nodes.Add, nodes.Sub, nodes.Mul, nodes.Div,
    nodes.FloorDiv, nodes.Mod, nodes.Neg, nodes.Pos, nodes.Keyword,
)  # fmt: skip


class _Pacing(NodeTransformer):
    """Refuses what is not allowed, and puts the budget into loops and into `~`."""

    def __init__(self) -> None:
        self.loops = 0

    def visit(self, node: nodes.Node, *args: Any, **kwargs: Any) -> Any:
        if not isinstance(node, _ALLOWED):
            raise TooMuchError(f"`{type(node).__name__.lower()}` is not available in templates (line {node.lineno})")
        return super().visit(node, *args, **kwargs)

    def visit_For(self, node: nodes.For) -> nodes.For:  # noqa: N802 - Jinja finds it by this name
        self.loops += 1
        if self.loops > 2 or node.recursive:
            raise TooMuchError(f"more than two loops inside each other (line {node.lineno})")
        self.generic_visit(node)
        self.loops -= 1
        node.iter = nodes.Filter(node.iter, "%paced", [], [], None, None, lineno=node.lineno)
        return node

    def visit_Getattr(self, node: nodes.Getattr) -> nodes.Node:  # noqa: N802
        path = _path_of(node)
        if path is None:
            self.generic_visit(node)
            return node
        return nodes.Filter(node, "%named", [nodes.Const(path)], [], None, None, lineno=node.lineno)

    def visit_Concat(self, node: nodes.Concat) -> nodes.Filter:  # noqa: N802
        self.generic_visit(node)
        return nodes.Filter(nodes.List(node.nodes), "%glued", [], [], None, None, lineno=node.lineno)


def _path_of(node: nodes.Node) -> str | None:
    """`order.state.name` as it was written, if the node is such a name."""
    if isinstance(node, nodes.Name):
        return node.name
    if isinstance(node, nodes.Getattr) and (owner := _path_of(node.node)) is not None:
        return f"{owner}.{node.attr}"
    return None


class _Compiled:
    """A template ready to fill in; one that does not compile is shown as written. Complains once."""

    __slots__ = ("_has_complained", "_source", "_template")

    def __init__(self, source: str) -> None:
        self._source = source
        self._has_complained = False
        self._template = None
        try:
            if len(source) > MAX_TEMPLATE:
                raise TooMuchError(f"it is longer than {MAX_TEMPLATE:,} characters")
            self._template = _ENV.from_string(_Pacing().visit(_ENV.parse(source)))
        except (TemplateError, TooMuchError, SyntaxError, ValueError, RecursionError, MemoryError) as error:
            self._complain(error)

    def render(self, values: Mapping[str, object]) -> str:
        template = self._template
        if template is None:
            return self._source
        pieces: list[str] = []
        size = 0
        try:
            for piece in template.root_render_func(template.new_context({**values, _BUDGET: _Budget()})):
                pieces.append(piece)
                size += len(piece)
                if size > MAX_OUTPUT:
                    raise TooMuchError(f"it makes more than {MAX_OUTPUT:,} characters")
        except Exception as error:  # noqa: BLE001 - any operation on any value a template can name may raise anything
            self._complain(error)
            return self._source
        return "".join(pieces)

    def _complain(self, error: Exception) -> None:
        if self._has_complained:
            return
        self._has_complained = True
        log.warning(
            "the template %r is shown as written: %s; mend it, or put {%% raw %%} around braces that are meant as text",
            self._source[:80],
            error,
        )


_compiled = lru_cache(maxsize=1024)(_Compiled)
