"""PostHog's HTTP API without MCP, usable alone.

async with PostHogClient("eu", personal_api_key="phx_…") as client:
    flags = await client.get("/api/projects/{project_id}/feature_flags/", project_id=1)
"""

from posthog_mcp.api import errors
from posthog_mcp.api.answers import Answer, BatchAnswer, FlagsAnswer, Page
from posthog_mcp.api.calls import Limiter
from posthog_mcp.api.client import PostHogClient
from posthog_mcp.api.endpoints import (
    ENDPOINTS,
    Effect,
    Endpoint,
    LimitClass,
    UnknownEndpoint,
    effects_of,
    endpoint,
)
from posthog_mcp.api.errors import PostHogError
from posthog_mcp.api.hosts import Hosts
from posthog_mcp.api.keys import Keys, KeyType, key_type
from posthog_mcp.api.transport import Transport

__all__ = [
    "ENDPOINTS",
    "Answer",
    "BatchAnswer",
    "Effect",
    "Endpoint",
    "FlagsAnswer",
    "Hosts",
    "KeyType",
    "Keys",
    "LimitClass",
    "Limiter",
    "Page",
    "PostHogClient",
    "PostHogError",
    "Transport",
    "UnknownEndpoint",
    "effects_of",
    "endpoint",
    "errors",
    "key_type",
]
