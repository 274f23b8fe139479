"""What a tool is: its arguments, its access, its record, and what it is handed when it runs.

A tool is one coroutine that describes itself; the catalogue, the schema, the hints and the refusals all read
this one record::

    class ListAnnotations(ProjectInput):
        search: str = Field("", max_length=200, description="Words in the note; empty for all.")
        limit: int = Field(50, ge=1, le=200, description="How many at most.")


    @tool(area="annotations", access=Access.READ, title="List annotations", scopes=("annotation:read",))
    async def list_annotations(ctx: Context, args: ListAnnotations) -> Table:
        '''List the notes on the project's charts. To add one, use create_annotation.'''
"""

from posthog_mcp.settings import AREAS, Access
from posthog_mcp.tool.arguments import (
    Input,
    JsonArray,
    JsonObject,
    JsonValue,
    Needs,
    ProjectInput,
    ValueText,
)
from posthog_mcp.tool.consent import AnswerPending, Question
from posthog_mcp.tool.context import Context, Project, Services, ToolFailure
from posthog_mcp.tool.record import Key, Listing, Tool, tool

__all__ = [
    "AREAS",
    "Access",
    "AnswerPending",
    "Context",
    "Input",
    "JsonArray",
    "JsonObject",
    "JsonValue",
    "Key",
    "Listing",
    "Needs",
    "Project",
    "ProjectInput",
    "Question",
    "Services",
    "Tool",
    "ToolFailure",
    "ValueText",
    "tool",
]
