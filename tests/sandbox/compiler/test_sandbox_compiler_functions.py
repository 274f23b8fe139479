"""The allow-list of functions against the engine that runs them."""

from __future__ import annotations

import pytest
from compiler_project import Ask

from posthog_mcp.hogql import parse_expr
from posthog_mcp.sandbox.compiler import functions
from posthog_mcp.sandbox.engine import Engine

pytestmark = pytest.mark.xdist_group("compiler")

# Aggregations of maps, which the engine builds from a name and a combinator.
_BUILT = {"sumMap", "minMap", "maxMap"}


async def test_every_allowed_function_exists_and_folds_rows_as_declared(compiler_engine: Engine):
    rows = await compiler_engine.query("SELECT name, is_aggregate FROM system.functions")
    engine = dict(rows.rows)
    for name in functions.names():
        function = functions.find(name)
        assert function is not None
        if function.name in _BUILT:
            continue
        assert function.name in engine, name
        assert function.window_only or bool(engine[function.name]) is function.aggregate, name


@pytest.mark.parametrize(
    "name",
    [
        "file",
        "url",
        "remote",
        "hostName",
        "sleep",
        "getSetting",
        "dictGet",
        "version",
        "currentUser",
        "system",
        "query",
        "readonly",
        "tcpPort",
        "uptime",
        "addressToLine",
        "getServerPort",
        "fileCluster",
        "loadAverage",
        "input",
        "errorCodeToName",
        "tryBase32Decode_",
        "If",
        "State",
        "sumIfIfIfIf",
    ],
)
def test_functions_that_touch_the_server_are_not_allowed(name: str):
    assert functions.find(name) is None


def test_names_are_found_in_any_case_and_printed_in_the_engines():
    found = functions.find("TOSTARTOFDAY")
    assert found is not None
    assert found.name == "toStartOfDay"


def test_combinators_add_their_arguments():
    found = functions.find("sumArrayIf")
    assert found is not None
    assert (found.name, found.least, found.most, found.aggregate) == ("sumArrayIf", 2, 2, True)


@pytest.mark.parametrize(
    "call",
    [
        "quantile(0.9)(number)",
        "quantiles(0.1, 0.9)(number)",
        "topK(3)(number)",
        "groupArray(3)(number)",
        "windowFunnel(10)(toDateTime(number), number = 1, number = 2)",
        "histogram(2)(number)",
        "sequenceCount('(?1)(?2)')(toDateTime(number), number = 1, number = 2)",
        "sumIf(number, number > 1)",
        "uniqExact(number)",
        "stddevPop(number)",
        "groupUniqArray(number)",
        "argMin(number, number)",
        "median(number)",
        "avgWeighted(number, number)",
        "sumMap([1], [2])",
        "anyLast(number)",
        "sumOrNull(number)",
        "countDistinct(number)",
        "minIf(number, number > 3)",
        "corr(number, number)",
        "sumForEach([number, 1])",
        "groupBitXor(number)",
    ],
)
async def test_aggregations_run(ask: Ask, call: str):
    parse_expr(call)
    assert len((await ask(f"select {call} from numbers(5)")).rows) == 1
