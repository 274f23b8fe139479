"""Hides what points at a person: mail addresses and IP addresses.

For those who may see numbers and not who is behind them (`POSTHOG_MCP_MASK_PII`). What is masked can no more
be passed to another tool, so questions about one person need a server without it.
"""

import re
from ipaddress import AddressValueError, IPv6Address

_MAIL = re.compile(r"\b([A-Za-z0-9])[A-Za-z0-9._%+-]*@([A-Za-z0-9-]+(?:\.[A-Za-z0-9-]+)+)\b")
_IPV4 = re.compile(r"\b(\d{1,3}\.\d{1,3})\.\d{1,3}\.\d{1,3}\b")
_MAYBE_IPV6 = re.compile(r"(?<![\w:])[0-9A-Fa-f]{1,4}:[0-9A-Fa-f:]{1,34}(?![\w:])")


def mask(text: str) -> str:
    """`text` with mail addresses as `a…@acme.com` and IP addresses as `203.0.…` and `2001:…`."""
    text = _MAIL.sub(r"\1…@\2", text)
    return _MAYBE_IPV6.sub(_without_host, _IPV4.sub(r"\1.…", text))


def _without_host(match: re.Match[str]) -> str:
    try:
        IPv6Address(match[0])
    except AddressValueError:
        return match[0]  # a time, or anything else with colons
    return f"{match[0].partition(':')[0]}:…"
