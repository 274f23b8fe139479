"""The sandbox's analytical database: ClickHouse (chdb) in a worker process of its own.

`Engine` is the asynchronous side that the sandbox uses; nothing imported here loads chdb.
"""

from posthog_mcp.sandbox.engine.client import Engine, Rows
from posthog_mcp.sandbox.engine.errors import ENGINE_MISSING_EXIT, EngineError, EngineMissing

__all__ = ["ENGINE_MISSING_EXIT", "Engine", "EngineError", "EngineMissing", "Rows"]
