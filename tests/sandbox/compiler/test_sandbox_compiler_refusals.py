"""What is refused before the engine hears of it, and in which words."""

from __future__ import annotations

import pytest
from compiler_project import WORLD

from posthog_mcp.hogql import HogQLSyntaxError, ast, parse
from posthog_mcp.sandbox.compiler import CompileError, compile_query
from posthog_mcp.sandbox.engine import Engine, EngineError


def refusal(query: str) -> CompileError:
    with pytest.raises(CompileError) as caught:
        compile_query(parse(query), WORLD)
    return caught.value


@pytest.mark.parametrize(
    ("query", "message"),
    [
        ("select 1 from evnts", 'Unknown table "evnts". Did you mean "events"?'),
        ("select 1 from system.tables", 'Unknown table "system.tables".'),
        ("select 1 from ph.events", 'Unknown table "ph.events".'),
        ("select nope from events", "Unable to resolve field: nope"),
        ("select evnt from events", 'Unable to resolve field: evnt. Did you mean "event"?'),
        ("select e.nope.x from events e", "Unable to resolve field: e.nope.x"),
        ("select person.nope from events", "Unable to resolve field: person.nope"),
        ("select event.properties.x from events", "Unable to resolve field: event.properties.x"),
        ("select team_id from events", "Unable to resolve field: team_id"),
        ("select foo(1)", "Unsupported function call 'foo(...)'."),
        ("select cuont()", "Unsupported function call 'cuont(...)'. Did you mean \"count\"?"),
        ("select abs()", "Function 'abs' expects exactly 1 argument, found 0"),
        ("select abs(1, 2)", "Function 'abs' expects exactly 1 argument, found 2"),
        (
            "select sum(count()) from events",
            "Aggregation 'count' cannot be nested inside another aggregation 'sum'.",
        ),
        ("select {x}", "Query contains unresolved placeholders: give each a value."),
        ("select 1 from {x}", "Query contains unresolved placeholders: give each a value."),
        (
            "select uuid from events a join events b on a.uuid = b.uuid",
            "Ambiguous query. Found multiple sources for field: uuid",
        ),
        ("select 1 as a, 2 as a", "Cannot redefine an alias with the name: a"),
        (
            "select 1 from events a join persons a on 1",
            'Already have joined a table called "a". Can\'t redefine.',
        ),
        (
            "select person from events",
            "Cannot select person as a whole: name one of its fields, such as person.id.",
        ),
        ("select 1 from events where person_id in cohort 99", "Could not find a cohort with the ID 99."),
        ("select 1 from events where person_id in cohort 'Pro user'", 'Did you mean "Pro users"?'),
        (
            "select 1 from events where person_id in cohort event",
            "IN COHORT needs the id or the name of a cohort.",
        ),
        ("select 1 from events where matchesAction('Byu')", "Could not find an action with the name 'Byu'."),
        ("select matchesAction('Buy')", "This needs a query that reads the events table exactly once."),
        ("select convertCurrency('USD', 'EUR', 1)", "exchange rates"),
        ("select recording_button('x')", "PostHog's own interface"),
        ("select [1][0]", "SQL indexes start from one, not from zero. E.g: array[1]"),
        ("select properties[event] from events", "A property's name must be a constant"),
        (
            "select groupArray(event order by timestamp) from events",
            "ORDER BY inside groupArray(...) is not supported",
        ),
        ("select row_number() from events", "row_number(...) is a window function: it needs OVER (...)."),
        ("select sum(1) over w from events", 'There is no window named "w".'),
        ("select uniqState(event) from events", "is the state of an aggregation"),
        ("select quantile(event)(1) from events", "must be constants"),
        ("select abs(1)(2)", "takes no parameters"),
        ("select lower(distinct event) from events", "need an aggregation"),
        ("select 1 from numbers('x')", "numbers(...) takes one or two constant whole numbers."),
        ("select 1 from numbers(100000000)", "numbers(...) gives at most 10,000,000 rows."),
        ("select 1 from persons sample 0.1", "SAMPLE is only supported on the events table."),
        ("select 1 from events sample 1000", "a number of rows is not supported"),
        ("select 1 limit 1.5", "LIMIT and OFFSET must be whole numbers"),
        ("select 1 union all select 1, 2", "All parts of a UNION must have the same number of columns."),
        ("select *", "Cannot use '*' when there is no table to select from."),
        ("select (select timestamp from numbers(1)) from events", "Unable to resolve field: timestamp"),
        (
            "with recursive t as (select 1 as n union all select n + 1 from t) select * from t",
            "Recursive CTEs are not supported.",
        ),
        ("select columns('(') from events", "COLUMNS has an invalid pattern"),
        ("select cast(1 as nonsense)", "Cannot cast to nonsense."),
        ("select arrayReduce('nope', [1])", "arrayReduce needs the name of a supported aggregation"),
        ("select dateTrunc('fortnight', now())", "dateTrunc needs a constant unit"),
    ],
)
def test_a_mistake_is_named(query: str, message: str):
    assert message in refusal(query).message


def test_a_refusal_points_at_the_mistake():
    query = "select count() from events where nope = 1"
    found = refusal(query)
    assert query[found.start : found.end] == "nope"
    assert found.code == "invalid_input"


@pytest.mark.parametrize(
    "query",
    [
        "select file('/etc/passwd')",
        "select * from file('/etc/passwd', 'CSV', 'a String')",
        "select * from url('http://169.254.169.254/', 'CSV', 'a String')",
        "select * from s3('https://b.test/x.csv')",
        "select * from remote('h', 'system', 'one')",
        "select * from merge('system', '.*')",
        "select * from executable('x', 'CSV', 'a String')",
        "select * from input('a String')",
        "select * from cluster('default', system.one)",
        "select * from mysql('h', 'd', 't', 'u', 'p')",
        "select * from system.tables",
        "select * from system.processes",
        "select * from information_schema.tables",
        "select * from events(1)",
        "select hostName()",
        "select getSetting('max_threads')",
        "select currentUser()",
        "select version()",
        "select serverUUID()",
        "select sleep(3)",
        "select sleepEachRow(1) from events",
        "select throwIf(1)",
        "select dictGet('d', 'a', 1)",
        "select joinGet('t', 'a', 1)",
        "select getMacro('x')",
        "select buildId()",
        "select currentDatabase()",
        "select addressToSymbol(1)",
        "select catboostEvaluate('x', 1)",
        "select evalMLMethod(1)",
        "select fuzzBits('x', 0.5)",
        "select initializeAggregation('sum', 1)",
        "select arrayReduce('nothing', [1])",
        "select transactionID()",
        "select filesystemAvailable()",
        "select queryID()",
        "select numbers(3)",
        "select 1 from `events FINAL; DROP TABLE ph.events`",
        "select `event`` as x, file('/etc/passwd')` from events",
    ],
)
def test_nothing_that_leaves_the_project_compiles(query: str):
    with pytest.raises((CompileError, HogQLSyntaxError)):
        compile_query(parse(query), WORLD)


@pytest.mark.parametrize(
    "text",
    [
        "select 1 into outfile '/tmp/x'",
        "select 1 format CSV",
        "select 1 settings max_threads = 1",
        "kill query where 1",
        "use system",
        "describe table events",
        "describe file('/etc/passwd')",
        "show tables",
        "set readonly = 0",
        "drop table events",
        "insert into events values (1)",
        "attach database x",
        "explain select 1",
        "select 1; select 2",
        "{x}",
        "<tag/>",
        "",
    ],
)
def test_what_is_no_select_does_not_even_parse(text: str):
    with pytest.raises((CompileError, HogQLSyntaxError)):
        compile_query(parse(text), WORLD)


def test_deep_nesting_is_refused_whoever_made_the_tree():
    expr: ast.Expr = ast.Constant(value=1)
    for _ in range(3_000):
        expr = ast.Not(expr=expr)
    with pytest.raises(CompileError, match="nested too deeply"):
        compile_query(ast.SelectQuery(select=[expr]), WORLD)
    query: ast.Query = ast.SelectQuery(select=[ast.Constant(value=1)])
    for _ in range(3_000):
        query = ast.SelectQuery(select=[ast.Constant(value=1)], select_from=ast.JoinExpr(table=query))
    with pytest.raises(CompileError, match="nested too deeply"):
        compile_query(query, WORLD)


def test_a_kind_of_node_that_nobody_knows_is_refused():
    with pytest.raises(CompileError, match="not supported"):
        compile_query(ast.SelectQuery(select=[ast.Expr()]), WORLD)


@pytest.mark.parametrize(
    ("tree", "message"),
    [
        (
            ast.SelectQuery(select=[ast.Alias(alias="team_id", expr=ast.Constant(value=1))]),
            "is a reserved keyword",
        ),
        (
            ast.SelectQuery(
                select=[ast.Constant(value=1)],
                array_join_op="ARRAY JOIN",
                array_join_list=[ast.Alias(alias="x", expr=ast.Array(exprs=[]))],
            ),
            "ARRAY JOIN without a FROM",
        ),
        (
            ast.SelectQuery(
                select=[ast.Constant(value=1)],
                select_from=ast.JoinExpr(
                    table=ast.Field(chain=["events"]),
                    next_join=ast.JoinExpr(
                        table=ast.Field(chain=["persons"]), join_type="GLOBAL JOIN; DROP TABLE x"
                    ),
                ),
            ),
            "are not supported",
        ),
    ],
)
def test_trees_that_the_parser_would_not_make_are_refused_as_well(tree: ast.Query, message: str):
    with pytest.raises(CompileError, match=message):
        compile_query(tree, WORLD)


@pytest.mark.xdist_group("compiler")
async def test_the_engines_messages_are_told_in_the_names_of_the_query(compiler_engine: Engine):
    query = "select properties.plan, toDate(timestamp) as day, count() from events group by day"
    compiled = compile_query(parse(query), WORLD)
    with pytest.raises(EngineError) as caught:
        await compiler_engine.query(compiled.sql)
    told = compiled.in_words(caught.value.message)
    assert "'properties.plan' is not under aggregate function" in told
    assert "SELECT" not in told
