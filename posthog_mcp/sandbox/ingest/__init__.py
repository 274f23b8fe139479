"""Ingestion: what events make of persons, groups and definitions, by PostHog's rules.

`Ingest` is the door; nothing imported here loads the engine.
"""

from posthog_mcp.sandbox.ingest.definitions import Definitions, EventDefinition, PropertyDefinition
from posthog_mcp.sandbox.ingest.delivery import EngineDown
from posthog_mcp.sandbox.ingest.events import RawEvent
from posthog_mcp.sandbox.ingest.groups import Group, Groups, GroupType
from posthog_mcp.sandbox.ingest.ingest import Ingest, IngestClosed
from posthog_mcp.sandbox.ingest.people import People
from posthog_mcp.sandbox.ingest.person import Person
from posthog_mcp.sandbox.ingest.property_types import PropertyType
from posthog_mcp.sandbox.ingest.warnings import IngestionWarning

__all__ = [
    "Definitions",
    "EngineDown",
    "EventDefinition",
    "Group",
    "GroupType",
    "Groups",
    "Ingest",
    "IngestClosed",
    "IngestionWarning",
    "People",
    "Person",
    "PropertyDefinition",
    "PropertyType",
    "RawEvent",
]
