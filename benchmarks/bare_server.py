"""The least an MCP server can be: the SDK's low-level server with one tool, over the SDK's own stdio.

With a URL as its argument the tool asks that URL first, with nothing around it.
"""

import gc

gc.disable()

import sys  # noqa: E402 - after the collector is off
from typing import Any  # noqa: E402

import anyio  # noqa: E402
import httpx2  # noqa: E402
import mcp.types as t  # noqa: E402
from mcp.server.lowlevel import Server  # noqa: E402
from mcp.server.stdio import stdio_server  # noqa: E402

gc.freeze()
gc.enable()

SCHEMA = {"type": "object", "properties": {}, "additionalProperties": False}


async def list_tools(context: Any, params: Any) -> t.ListToolsResult:
    del context, params
    return t.ListToolsResult(tools=[t.Tool(name="echo", description="Echo.", input_schema=SCHEMA)])


async def main(*urls: str) -> None:
    client = httpx2.AsyncClient() if urls else None

    async def call_tool(context: Any, params: Any) -> t.CallToolResult:
        del context, params
        text = (await client.get(urls[0])).text if client else "echo"
        return t.CallToolResult(content=[t.TextContent(type="text", text=text)])

    server = Server("bare", version="0", on_list_tools=list_tools, on_call_tool=call_tool)
    async with stdio_server() as (incoming, outgoing):
        await server.run(incoming, outgoing, server.create_initialization_options())


anyio.run(main, *sys.argv[1:])
