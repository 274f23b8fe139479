"""What PostHog does to an event's properties before anything looks at them, apart from persons and groups."""

from __future__ import annotations

from typing import Any, Final, cast
from uuid import UUID

from posthog_mcp.sandbox.ingest.elements import elements_chain

JSON = dict[str, Any]

# Facts: the automatic person properties, reference of ingestion, "Person properties set automatically".
_APP = ("$app_build", "$app_name", "$app_namespace", "$app_version")
_DEVICE = (
    "$browser", "$browser_version", "$device_type", "$current_url", "$pathname", "$os", "$os_name",
    "$os_version", "$referring_domain", "$referrer", "$screen_height", "$screen_width", "$viewport_height",
    "$viewport_width", "$raw_user_agent",
)  # fmt: skip
_CAMPAIGN = (
    "utm_source", "utm_medium", "utm_campaign", "utm_content", "utm_name", "utm_term", "gclid", "gad_source",
    "gclsrc", "dclid", "gbraid", "wbraid", "fbclid", "msclkid", "twclid", "li_fat_id", "mc_cid", "igshid",
    "ttclid", "rdt_cid", "irclid", "_kx", "epik", "qclid", "sccid",
)  # fmt: skip
_AUTOMATIC: Final = {
    key: f"$initial_{key.removeprefix('$')}" for key in (*_APP, *_DEVICE, *_CAMPAIGN) if key != "$os_name"
}
_LIFTED: Final = frozenset(_AUTOMATIC) | {"$os_name"}
_SERVER_OS: Final = frozenset({"$os", "$os_version"})
_NEVER_STORED: Final = frozenset(
    {"ph_product_tours", "$product_tours_activated", "$override_feature_flag_payloads"}
)
_GROUP_COLUMNS: Final = ("$group_0", "$group_1", "$group_2", "$group_3", "$group_4")
_UUID_LENGTH: Final = 36


def as_object(value: Any) -> JSON:
    """The value when it is an object, else an empty one."""
    return cast("JSON", value) if isinstance(value, dict) else {}


def move_top_level(properties: JSON, top_set: Any, top_set_once: Any) -> None:
    """Put `$set` and `$set_once` written beside `properties` over those inside."""
    if top_set:
        properties["$set"] = {**as_object(properties.get("$set")), **as_object(top_set)}
    if top_set_once:
        properties["$set_once"] = {**as_object(properties.get("$set_once")), **as_object(top_set_once)}


def lift_person_properties(properties: JSON) -> None:
    """Copy browser, device, app and campaign properties into `$set`, their first values into `$set_once`."""
    if _LIFTED.isdisjoint(properties):
        return
    if "$os_name" in properties:
        properties.setdefault("$os", properties["$os_name"])
    lifted = _AUTOMATIC.keys() & properties.keys()
    if properties.get("$is_server") is True:
        lifted -= _SERVER_OS
    if not lifted:
        return
    values = {key: properties[key] for key in _AUTOMATIC if key in lifted}
    initial = {_AUTOMATIC[key]: value for key, value in values.items()}
    properties["$set"] = {**values, **as_object(properties.get("$set"))}
    properties["$set_once"] = {**initial, **as_object(properties.get("$set_once"))}


def take_elements_chain(properties: JSON) -> str:
    """Take `$elements_chain` or `$elements` out of the properties; the text for the column."""
    chain = properties.pop("$elements_chain", None)
    elements = properties.pop("$elements", None)
    if isinstance(chain, str) and chain:
        return chain
    return elements_chain(cast("list[Any]", elements)) if isinstance(elements, list) else ""


def tidy(properties: JSON) -> None:
    """Remove what is never stored; write a session id that is a UUID in lower case."""
    if not _NEVER_STORED.isdisjoint(properties):
        for key in _NEVER_STORED:
            properties.pop(key, None)
    session = properties.get("$session_id")
    if (
        isinstance(session, str)
        and len(session) == _UUID_LENGTH
        and not session.islower()
        and is_uuid(session)
    ):
        properties["$session_id"] = session.lower()


def make_personless(properties: JSON) -> None:
    """Remove what an event without person processing may not carry."""
    for key in ("$set", "$set_once", "$unset", *_GROUP_COLUMNS):
        properties.pop(key, None)


def is_uuid(text: str) -> bool:
    """Whether the text is a UUID."""
    try:
        UUID(text)
    except ValueError:
        return False
    return True
