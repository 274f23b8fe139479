"""Keep keys out of errors and logs: whatever looks like one, or is one of ours, keeps only its prefix."""

import logging
import re
from collections.abc import Callable, Iterable
from urllib.parse import quote, quote_plus

# A key inside printed text may directly follow an escape (\n, %20, \u0020), which is no word boundary; and a
# long run of letters and digits is a key wherever it stands. `phc_` is public and stays readable.
_BOUNDARY = (
    r"(?:(?<![A-Za-z0-9])|(?<=\\[abfnrtv0])|(?<=%[0-9A-Fa-f]{2})"
    r"|(?<=\\x[0-9A-Fa-f]{2})|(?<=\\u[0-9A-Fa-f]{4}))"
)
# looking for the prefix first is three times as fast
_KEY = re.compile(rf"(?:(?=ph[xsar]_){_BOUNDARY}(ph[xsar]_)[A-Za-z0-9_\-]+|(ph[xsar]_)[A-Za-z0-9]{{20,}})")
_HEADER = re.compile(
    r"(?i)(authorization[\"']?\s*[:=,]\s*(?:b?[\"'])?(?:(?:bearer|basic)\s+)?)[^\s\"',;)}\]]+"
    r"|(\b(?:bearer|basic)\s+)[A-Za-z0-9._~+/=-]{16,}"
)
_FIELD = re.compile(r"(?i)((?:personal|secret)_api_key[\"']?\s*[:=]\s*[\"']?)[^\s\"'&,;)}\]]+")
_USERINFO = re.compile(r"(?i)(\b[a-z][a-z0-9+.-]*://)[^\s/@\"']+@")
_Rule = tuple[tuple[str, ...], re.Pattern[str], str | Callable[[re.Match[str]], str]]
_RULES: tuple[_Rule, ...] = (
    # what must be in the folded text for the pattern to find anything, the pattern, what takes its place
    (("ph",), _KEY, lambda match: f"{match[1] or match[2]}…"),
    (("_api_key",), _FIELD, r"\1…"),
    (("://",), _USERINFO, r"\1…@"),
    (("authorization", "bearer", "basic"), _HEADER, lambda match: f"{match[1] or match[2]}…"),
)
_SHORTEST = 4


def redact(text: str, secrets: Iterable[str] = ()) -> str:
    """Replace every key in `text` by its prefix and `…`.

    Args:
        text: Anything that is to be shown or logged.
        secrets: Exact texts that must not appear, such as the configured keys (`Settings.secrets()`), also
            in their percent-encoded forms.

    Returns:
        The text, the same object when nothing in it had to go.
    """
    forms = {form for secret in secrets for form in _forms(secret)}
    for form in sorted(forms, key=len, reverse=True):
        text = text.replace(form, _prefix(form) + "…")
    folded = text.casefold()
    for needles, pattern, replacement in _RULES:
        if any(needle in folded for needle in needles):
            text = pattern.sub(replacement, text)
    return text


class RedactingFilter(logging.Filter):
    """Put it on a log handler: message, exception and stack of every record pass through `redact`."""

    def __init__(self, secrets: Iterable[str] = ()) -> None:
        super().__init__()
        self._secrets = tuple(secrets)

    def filter(self, record: logging.LogRecord) -> bool:
        """Rewrite the record in place and let it through."""
        record.msg = redact(record.getMessage(), self._secrets)
        record.args = ()
        if record.exc_info:
            record.exc_text = logging.Formatter().formatException(record.exc_info)
            # a formatter behind this one would print the original again
            record.exc_info = None
        if record.exc_text:
            record.exc_text = redact(record.exc_text, self._secrets)
        if record.stack_info:
            record.stack_info = redact(record.stack_info, self._secrets)
        return True


def _forms(secret: str) -> set[str]:
    if len(secret) < _SHORTEST:
        return set()
    return {secret, quote(secret, safe=""), quote_plus(secret)}


def _prefix(secret: str) -> str:
    return secret[:4] if re.match(r"ph[a-z]_", secret) else ""
