"""Text of outsiders as values and names: it round-trips, and never changes what runs."""

from __future__ import annotations

import json

import pytest
from compiler_project import WORLD
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from posthog_mcp.hogql import HogQLSyntaxError, ast, parse, quote_string
from posthog_mcp.sandbox.compiler import CompileError, compile_query
from posthog_mcp.sandbox.compiler.quoting import string
from posthog_mcp.sandbox.engine import Engine, EngineError

pytestmark = pytest.mark.xdist_group("compiler")

HOSTILE = [
    "'",
    "`",
    "\\",
    '"',
    "--",
    "/*",
    "*/",
    ";",
    "{p0:String}",
    "\n",
    "\0",
    "\x7f",
    "')",
    "`)",
    "\\'",
    "\\x27",
    "$1",
    "%",
    "é",
    "日",
    "😀",
    "\u202e",
]
# A backslash, a quote and a NUL among ordinary letters, in any order.
text = st.lists(st.sampled_from(HOSTILE) | st.text(max_size=3), max_size=6).map("".join)
names = text.filter(lambda name: bool(name) and name.lower() not in ("team_id", "true", "false", "null", "*"))
quick = settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])

# What the engine says to SQL that is not what the compiler meant.
BROKEN = {46, 47, 60, 62, 207}


@given(st.lists(text.filter(lambda value: "\0" not in value), min_size=1, max_size=5))
@quick
async def test_strings_come_back_as_they_were(compiler_engine: Engine, values: list[str]):
    query = f"select {', '.join(quote_string(value) for value in values)}"
    rows = await compiler_engine.query(compile_query(parse(query), WORLD).sql)
    assert rows.rows == [values]


@given(text)
@quick
async def test_keys_of_json_reach_the_engine_as_they_are(compiler_engine: Engine, key: str):
    tree = ast.SelectQuery(
        select=[
            ast.Call(
                name="JSONExtractString",
                args=[ast.Constant(value=json.dumps({key: "found"})), ast.Constant(value=key)],
            )
        ]
    )
    assert (await compiler_engine.query(compile_query(tree, WORLD).sql)).rows == [["found"]]


@given(names)
@quick
async def test_a_property_of_any_name_is_one_value(compiler_engine: Engine, name: str):
    tree = ast.SelectQuery(
        select=[
            ast.Field(chain=["properties", name]),
            ast.ArrayAccess(array=ast.Field(chain=["properties"]), property=ast.Constant(value=name)),
        ],
        select_from=ast.JoinExpr(table=ast.Field(chain=["events"])),
        where=ast.CompareOperation(
            left=ast.Field(chain=["event"]), op="==", right=ast.Constant(value="seen")
        ),
    )
    assert (await compiler_engine.query(compile_query(tree, WORLD).sql)).rows == [[None, None]]


def _named(name: str) -> ast.Query:
    """A query with `name` wherever a name of the user's can stand."""
    inner = ast.SelectQuery(select=[ast.Alias(alias=name, expr=ast.Constant(value=1))])
    return ast.SelectQuery(
        ctes=[ast.CTE(name=name, expr=inner, cte_type="subquery", columns=[name])],
        select=[
            ast.Alias(alias=name + "2", expr=ast.Field(chain=[name, name])),
            ast.Call(
                name="arrayMap",
                args=[ast.Lambda(args=[name + "3"], expr=ast.Field(chain=[name + "3"])), ast.Array(exprs=[])],
            ),
            ast.WindowFunction(name="count", exprs=[], over_name=name),
        ],
        select_from=ast.JoinExpr(table=ast.Field(chain=[name])),
        window_exprs={name: ast.WindowExpr()},
        order_by=[ast.OrderExpr(expr=ast.Field(chain=[name + "2"]))],
    )


@given(names)
@settings(max_examples=200, deadline=None)
def test_no_name_of_a_user_is_in_the_sql(name: str):
    compiled = compile_query(_named(name), WORLD)
    assert compiled.sql == compile_query(_named("x"), WORLD).sql
    assert compiled.columns[0] == name + "2"


@given(text)
@settings(max_examples=200, deadline=None)
def test_a_value_is_one_literal_and_nothing_else(value: str):
    def compiled(text: str) -> str:
        tree = ast.SelectQuery(
            select=[ast.Constant(value=text)],
            select_from=ast.JoinExpr(table=ast.Field(chain=["events"])),
            where=ast.CompareOperation(
                left=ast.Field(chain=["event"]), op="like", right=ast.Constant(value=text)
            ),
        )
        return compile_query(tree, WORLD).sql

    assert compiled(value) == compiled("x").replace("'x'", string(value))
    literal = string(value)[1:-1]
    assert "'" not in literal
    assert all(character == "x" for character in literal.split("\\")[1:] for character in character[:1])


def test_half_a_character_is_refused():
    with pytest.raises(CompileError, match="not valid Unicode"):
        compile_query(ast.SelectQuery(select=[ast.Constant(value="\ud800")]), WORLD)


_atoms = st.sampled_from(
    [
        "1",
        "2.5",
        "'a'",
        "null",
        "true",
        "event",
        "properties.total",
        "properties.x",
        "person.properties.plan",
        "timestamp",
        "distinct_id",
        "person_id",
        "session.$session_duration",
        "group_0.key",
        "now()",
        "count()",
        "[1, 2]",
        "(1, 'a')",
        "e.event",
        "company.properties.tier",
        "$group_0",
        "interval 1 day",
        "'2026-03-01'",
        "pdi.distinct_id",
        "properties",
        "person.is_identified",
        "elements_chain_texts",
    ]
)


def _grown(inner: st.SearchStrategy[str]) -> st.SearchStrategy[str]:
    operators = [
        "+",
        "-",
        "*",
        "/",
        "%",
        "=",
        "!=",
        "<",
        ">=",
        "and",
        "or",
        "like",
        "not ilike",
        "in",
        "=~",
        "!~*",
        "||",
        "??",
    ]
    functions = [
        "toString",
        "lower",
        "toFloat",
        "toInt",
        "toDateTime",
        "toDate",
        "sum",
        "max",
        "uniq",
        "countIf",
        "length",
        "concat",
        "coalesce",
        "if",
        "not",
        "toStartOfWeek",
        "JSONExtractString",
        "arrayMap",
        "nope",
        "matchesAction",
        "any",
        "isNull",
        "dateDiff",
        "tuple",
        "has",
        "groupArray",
        "toBool",
        "empty",
    ]
    return st.one_of(
        st.builds("({} {} {})".format, inner, st.sampled_from(operators), inner),
        st.builds("{}({})".format, st.sampled_from(functions), st.lists(inner, max_size=3).map(", ".join)),
        st.builds("(not {})".format, inner),
        st.builds("{}[{}]".format, inner, inner),
        st.builds("({} is null)".format, inner),
        st.builds("({} between {} and {})".format, inner, inner, inner),
        st.builds("arrayMap(x -> {}, [1])".format, inner),
        st.builds("(select {} from events limit 1)".format, inner),
        st.builds("({} as {})".format, inner, st.sampled_from(["a", "b", "event"])),
        st.builds("sum({}) over (partition by {} order by {})".format, inner, inner, inner),
        st.builds("case when {} then {} else {} end".format, inner, inner, inner),
    )


_expressions = st.recursive(_atoms, _grown, max_leaves=6)
_sources = st.sampled_from(
    [
        "events e",
        "events",
        "sessions",
        "persons",
        "(select * from events) e",
        "events e join persons p on e.person_id = p.id",
        "numbers(3)",
        "nope",
        "events sample 0.5",
        "cohort_people",
        "groups",
        "(select event, properties from events union all select 'x', '{}') e",
    ]
)
_queries = st.builds(
    "select {} from {} where {} {}".format,
    st.lists(_expressions, min_size=1, max_size=3).map(", ".join),
    _sources,
    _expressions,
    st.sampled_from(
        [
            "",
            "group by 1",
            "group by all",
            "order by 1 desc",
            "limit 5",
            "limit 1 by 1",
            "having 1",
            "qualify 1",
            "limit 0",
        ]
    ),
)


@given(_queries)
@settings(max_examples=250, deadline=None)
async def test_what_parses_compiles_to_sql_that_the_engine_understands_or_is_refused(
    compiler_engine: Engine, query: str
):
    try:
        compiled = compile_query(parse(query), WORLD)
    except (HogQLSyntaxError, CompileError):
        return
    try:
        rows = await compiler_engine.query(compiled.sql)
    except EngineError as error:
        # Types may not fit, aggregations may be misplaced; names and syntax are the compiler's.
        assert error.code not in BROKEN, error.message  # noqa: PT017 - which error matters
        return
    assert len(rows.columns) == len(compiled.columns)
