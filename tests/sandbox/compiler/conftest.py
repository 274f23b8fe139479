"""The project of `compiler_project` in an engine of its own, and a way to ask it: text in, rows out."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import pytest
from compiler_project import TABLES, WORLD, Answer, Ask

from posthog_mcp.hogql import parse
from posthog_mcp.sandbox.compiler import compile_query
from posthog_mcp.sandbox.engine import Engine

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from posthog_mcp.hogql import ast


@pytest.fixture(scope="session")
async def compiler_engine(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Engine]:
    pytest.importorskip("chdb")
    engine = await Engine.start(tmp_path_factory.mktemp("compiler"))
    for table, rows in TABLES.items():
        await engine.insert(table, "\n".join(json.dumps(row) for row in rows).encode())
    yield engine
    await engine.close()


@pytest.fixture
def ask(compiler_engine: Engine) -> Ask:
    async def run(query: str | ast.Query, *, one_more: bool = False, **changes: Any) -> Answer:
        tree = parse(query) if isinstance(query, str) else query
        compiled = compile_query(tree, replace(WORLD, **changes), one_more=one_more)
        rows = await compiler_engine.query(compiled.sql, compiled.params)
        return Answer(compiled.columns, rows.types, rows.rows, compiled.limit)

    return run
