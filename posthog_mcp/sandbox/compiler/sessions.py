"""The `sessions` table: one row for each UUIDv7 `$session_id`, computed from the events of every name."""

from __future__ import annotations

from posthog_mcp.sandbox.compiler.channel import channel_type
from posthog_mcp.sandbox.compiler.quoting import identifier, string
from posthog_mcp.sandbox.compiler.tables import Column, Join, Table

_PAGE = "{t}.`event` IN ('$pageview', '$screen')"
# Page views and screens come before every other event, which sort a year later. A number as the key is ten
# times as fast as a pair.
_YEAR = 365 * 24 * 3600 * 1_000_000
_FIRST = f"(toUnixTimestamp64Micro({{t}}.`timestamp`) + if({_PAGE}, 0, {_YEAR}))"
_LAST = f"(toUnixTimestamp64Micro({{t}}.`timestamp`) + if({_PAGE}, {_YEAR}, 0))"

AD_IDS = (
    "gclid", "gad_source", "fbclid", "gclsrc", "dclid", "gbraid", "wbraid", "msclkid", "twclid", "li_fat_id",
    "mc_cid", "igshid", "ttclid", "epik", "qclid", "sccid", "_kx", "irclid",
)  # fmt: skip
_BOUNCE_SECONDS = 10

# Keys that are read together are read in one pass over the JSON, which is three times as fast.
_UTM = ("utm_source", "utm_campaign", "utm_medium", "utm_term", "utm_content")
_READ_TOGETHER = {
    "acquired": (*_UTM, "$referring_domain", "gclid", "fbclid", "gad_source"),
    "advertised": tuple(name for name in AD_IDS if name not in ("gclid", "fbclid", "gad_source")),
}


def _tuple_of(names: tuple[str, ...]) -> str:
    members = ", ".join(f"{identifier(name)} Nullable(String)" for name in names)
    return f"JSONExtract(properties, {string(f'Tuple({members})')})"


_SOURCE = (
    "(SELECT uuid, event, timestamp, distinct_id, person_id, `$session_id`, inserted_at, properties, "  # noqa: S608 - names of ours
    + ", ".join(f"{_tuple_of(names)} AS {name}" for name, names in _READ_TOGETHER.items())
    + " FROM ph.events FINAL) AS {t}"
)


def _property(name: str) -> str:
    for group, names in _READ_TOGETHER.items():
        if name in names:
            return f"nullIf(tupleElement({{t}}.{group}, {names.index(name) + 1}), '')"
    return f"nullIf(JSONExtract({{t}}.`properties`, {string(name)}, 'Nullable(String)'), '')"


def _entry(name: str) -> str:
    return f"argMin({_property(name)}, {_FIRST})"


def _end(name: str) -> str:
    return f"argMax({_property(name)}, {_LAST})"


def _count(event: str) -> str:
    return f"uniqExactIf({{t}}.`uuid`, {{t}}.`event` = {string(event)})"


_START, _END = "min({t}.`timestamp`)", "max({t}.`timestamp`)"
_DURATION = f"dateDiff('second', {_START}, {_END})"
_URL = _property("$current_url")
_URLS = f"arraySort(groupUniqArrayIf(assumeNotNull({_URL}), {_PAGE} AND isNotNull({_URL})))"
_SEEN = "uniqExactIf({t}.`uuid`, {t}.`event` IN ('$pageview', '$screen', '$autocapture'))"
_BOUNCE = f"multiIf({_SEEN} = 0, NULL, {_SEEN} > 1 OR {_DURATION} >= {_BOUNCE_SECONDS}, false, true)"


def _has_on_entry(name: str) -> str:
    return f"argMin(isNotNull({_property(name)}), {_FIRST})"


def _columns() -> dict[str, Column]:
    url_parts = {
        f"${side}_{part}": Column(f"{function}({url})", nullable=True, hidden=side == "exit")
        for side, url in (
            ("entry", _entry("$current_url")), ("end", _end("$current_url")), ("exit", _end("$current_url")),
        )
        for part, function in (("current_url", "toString"), ("pathname", "path"), ("hostname", "domain"))
    }  # fmt: skip
    channel = channel_type(
        source=_entry("utm_source"),
        medium=_entry("utm_medium"),
        campaign=_entry("utm_campaign"),
        domain=_entry("$referring_domain"),
        has_gclid=_has_on_entry("gclid"),
        has_fbclid=_has_on_entry("fbclid"),
        gad_source=_entry("gad_source"),
    )
    return {
        "session_id": Column("{t}.`$session_id`"),
        "id": Column("{t}.`$session_id`", hidden=True),
        "distinct_id": Column("argMax({t}.`distinct_id`, {t}.`timestamp`)"),
        "person_id": Column("argMax({person}, {t}.`timestamp`)", "UUID"),
        "$start_timestamp": Column(_START, "DateTime"),
        "$end_timestamp": Column(_END, "DateTime"),
        "max_inserted_at": Column("max({t}.`inserted_at`)", "DateTime"),
        "$urls": Column(_URLS, "Array"),
        "$num_uniq_urls": Column(f"length({_URLS})", "Number"),
        **url_parts,
        "$entry_referring_domain": Column(_entry("$referring_domain"), nullable=True),
        "$entry_referrer": Column(_entry("$referrer"), nullable=True, hidden=True),
        "$last_external_click_url": Column(
            f"argMax({_property('$external_click_url')}, {{t}}.`timestamp`)", nullable=True
        ),
        **{
            f"$entry_utm_{part}": Column(_entry(f"utm_{part}"), nullable=True)
            for part in ("source", "campaign", "medium", "term", "content")
        },
        **{f"$entry_{name}": Column(_entry(name), nullable=True) for name in AD_IDS},
        **{
            f"$entry_has_{name}": Column(_has_on_entry(name), "Boolean")
            for name in AD_IDS
            if name != "gad_source"
        },
        "$pageview_count": Column(_count("$pageview"), "Number"),
        "$autocapture_count": Column(_count("$autocapture"), "Number"),
        "$screen_count": Column(_count("$screen"), "Number"),
        "$channel_type": Column(channel),
        "$session_duration": Column(_DURATION, "Number"),
        "duration": Column(_DURATION, "Number", hidden=True),
        "$is_bounce": Column(_BOUNCE, "Boolean", nullable=True),
    }  # fmt: skip


SESSIONS = Table(
    _SOURCE,
    _columns(),
    joins={"person": Join("persons", "person_id", "id")},
    where="length({t}.`$session_id`) = 36 AND substring({t}.`$session_id`, 15, 1) = '7'",
    group_by="{t}.`$session_id`",
)
