"""How a session was acquired: PostHog's channel types, from where the visitor came."""

from __future__ import annotations

from posthog_mcp.sandbox.compiler.quoting import string

_SEARCH = "google bing duckduckgo baidu yahoo ecosia brave"
_SOCIAL = "facebook instagram twitter linkedin reddit tiktok pinterest"
_VIDEO = "youtube vimeo twitch"
_SHOPPING = "amazon ebay etsy alibaba walmart"
_WORD_TO_FAMILY = {"Search": _SEARCH, "Social": _SOCIAL, "Video": _VIDEO, "Shopping": _SHOPPING}
_EXTRA_DOMAINS = {
    "Social": "x.com t.co news.ycombinator.com",
    "Search": "search.brave.com",
    "Email": "mail.google.com",
}

_ORGANIC_MEDIUM = {
    "Email": ("email", "e-mail", "e_mail", "e mail"),
    "Affiliate": ("affiliate", "partnership", "partnerships"),
    "Referral": ("referral", "app", "link"),
    "Display": ("display", "banner", "expandable", "interstitial", "cpm"),
    "Organic Social": ("social", "sm", "social-network", "social-media", "social media", "social network"),
    "Organic Video": ("video",),
    "Push": ("push", "mobile", "notification"),
    "Audio": ("audio",),
}
_PAID_MEDIUM = {
    "Display": _ORGANIC_MEDIUM["Display"],
    "Paid Social": _ORGANIC_MEDIUM["Organic Social"],
    "Paid Video": ("video",),
}
_PAID_TERMS = ("cpc", "cpm", "cpv", "cpa", "ppc", "retargeting")


def _domains(words: str) -> list[str]:
    found: list[str] = []
    for word in words.split():
        domain = word if "." in word else f"{word}.com"
        found += [word, domain, f"www.{domain}"]
    return found


def _families(prefix: str) -> dict[str, tuple[str, ...]]:
    families = {
        f"{prefix} {family}": tuple(_domains(f"{words} {_EXTRA_DOMAINS.get(family, '')}"))
        for family, words in _WORD_TO_FAMILY.items()
    }
    return families if prefix == "Paid" else {**families, "Email": tuple(_domains(_EXTRA_DOMAINS["Email"]))}


def _lookup(value: str, table: dict[str, tuple[str, ...]]) -> str:
    pairs = [(word, channel) for channel, words in table.items() for word in words]
    words, channels = (f"[{', '.join(map(string, column))}]" for column in zip(*pairs, strict=True))
    return f"nullIf(transform(ifNull({value}, ''), {words}, {channels}, ''), '')"


def channel_type(
    *, source: str, medium: str, campaign: str, domain: str, has_gclid: str, has_fbclid: str, gad_source: str
) -> str:
    """SQL of the channel type; each argument is SQL: of a nullable text, or, for `has_...`, of a boolean."""
    source, medium, campaign = (
        f"nullIf(nullIf(lower(ifNull({value}, '')), ''), 'null')" for value in (source, medium, campaign)
    )
    shop = f"match(ifNull({campaign}, ''), '^(.*[^a-df-z])?shop')"
    video = f"position(ifNull({campaign}, ''), 'video') > 0"
    is_paid = (
        f"(ifNull({medium}, '') IN ({', '.join(map(string, _PAID_TERMS))})"
        f" OR startsWith(ifNull({medium}, ''), 'paid')"
        f" OR {has_gclid} OR isNotNull({gad_source}))"
    )
    paid = (
        f"coalesce({_lookup(source, _families('Paid'))}, if({shop}, 'Paid Shopping', NULL),"
        f" {_lookup(medium, _PAID_MEDIUM)}, {_lookup(domain, _families('Paid'))},"
        f" multiIf(ifNull({gad_source}, '') = '1', 'Paid Search', {video}, 'Paid Video',"
        f" {has_fbclid}, 'Paid Social', 'Paid Unknown'))"
    )
    direct = (
        f"(ifNull({domain}, '') = '$direct' AND isNull({medium})"
        f" AND ifNull({source}, '') IN ('', 'direct', '(direct)', '$direct') AND NOT {has_fbclid})"
    )
    organic = (
        f"coalesce({_lookup(source, _families('Organic'))}, if({shop}, 'Organic Shopping', NULL),"
        f" {_lookup(medium, _ORGANIC_MEDIUM)}, {_lookup(domain, _families('Organic'))},"
        f" multiIf({video}, 'Organic Video', endsWith(ifNull({medium}, ''), 'push'), 'Push',"
        f" {has_fbclid}, 'Organic Social', ifNull({domain}, '') = '$direct', 'Direct',"
        f" isNotNull({domain}), 'Referral', 'Unknown'))"
    )
    cross = f"position(ifNull({campaign}, ''), 'cross-network') > 0"
    return f"multiIf({cross}, 'Cross Network', {is_paid}, {paid}, {direct}, 'Direct', {organic})"
