"""The sentences of failures that are not an error answer of PostHog."""

from collections.abc import Collection

from posthog_mcp.api import errors
from posthog_mcp.api.endpoints import Effect, Endpoint
from posthog_mcp.api.refusals import CHEAPER, READ_LESS, Asked, in_seconds, place_of
from posthog_mcp.api.transport import RawAnswer, TransportError
from posthog_mcp.limits import AT_ONCE, BYTES_READ

_KINDS = {"text/html": "a web page", "text/plain": "plain text", "application/json": "broken JSON"}
_ACCESS = {Effect.EVENT: "write", Effect.CHANGE: "write", Effect.DESTROY: "full", Effect.READ: "read"}


def not_allowed(asked: Endpoint, allow: Collection[Effect]) -> errors.NotAllowed:
    """The client may not have the effect that the endpoint has."""
    allowed = ", ".join(effect.value for effect in Effect if effect in allow) or "nothing"
    return errors.NotAllowed(
        f"{asked} was not sent.",
        f"Its effect is {asked.effect.value}, and this client is allowed {allowed}.",
        f"Start posthog-mcp with --access {_ACCESS[asked.effect]} if it is to do this.",
    )


def no_permit(asked: Asked, limit: str, wait: float | None) -> errors.RateLimited:
    """Our own budget leaves no room for the call in time; `limit` names what is spent."""
    away = f"{in_seconds(wait)} away" if wait is not None else "not free yet"
    error = errors.RateLimited(
        f"{asked} was not sent: the limit of {limit} is spent.",
        f"The next place is {away}, longer than this call may wait; all who use this PostHog share it.",
        f"Try again {f'in {in_seconds(wait)}' if wait is not None else 'a little later'}. "
        f"{READ_LESS if limit == BYTES_READ else CHEAPER[asked.endpoint.limit]}.",
    )
    error.wait, error.limit_class = wait, asked.endpoint.limit.value
    error.spent = {BYTES_READ: "bytes", AT_ONCE: "concurrency"}.get(limit, "requests")
    return error


def too_slow(asked: Asked, seconds: float, *, sent: bool) -> errors.Timeout:
    """The time of the call was over."""
    unsure = sent and asked.endpoint.effect is not Effect.READ
    error = errors.Timeout(
        f"{asked} was given up after {in_seconds(seconds)}.",
        "PostHog did not answer in time."
        if sent
        else "The time went into waiting; nothing was sent that still runs.",
        "It may have happened all the same: look before you repeat it."
        if unsure
        else "Try again, or ask for less at once.",
    )
    error.sent = sent
    return error


def no_answer(asked: Asked, failure: TransportError) -> errors.PostHogError:
    """The transport came back without an answer that can be used."""
    if failure.kind == "too_large":
        return errors.AnswerTooLarge(
            f"The answer to {asked} is larger than is read.",
            "Reading stopped there.",
            "Ask for fewer rows, fewer fields or a shorter period.",
        )
    if failure.kind == "undecodable":
        return errors.BadAnswer(
            f"The answer to {asked} cannot be read.",
            "It is compressed in a broken way.",
            "Try again; if it stays, look at what stands between here and PostHog.",
        )
    return _unreachable(asked, failure)


def not_json(asked: Asked, raw: RawAnswer) -> errors.NotJson:
    """A success whose body is not the JSON it should be."""
    kind = raw.headers.get("content-type", "").partition(";")[0].strip().lower()
    return errors.NotJson(
        f"{asked.host} answered {asked} with something that is not JSON ({raw.status}).",
        f"It is {_KINDS.get(kind, 'of a kind that is not expected here')}.",
        "Check that POSTHOG_HOST is the address of a PostHog and that nothing in between answers for it.",
    )


def unusable(asked: Endpoint, why: str) -> errors.BadAnswer:
    """An answer that is JSON, but not of the shape the endpoint has."""
    return errors.BadAnswer(
        f"The answer to {asked} is not what it should be.",
        why,
        "Check that POSTHOG_HOST is the address of a PostHog, and how old that PostHog is.",
    )


def foreign_link(asked: Endpoint, host: str, link: str, secrets: tuple[str, ...]) -> errors.ForeignLink:
    """A next page that another host would serve."""
    return errors.ForeignLink(
        f"The next page of {asked} was not fetched.",
        f"Its link leads to {place_of(link, secrets)}, and {host} is what is configured.",
        "Set POSTHOG_HOST to the address PostHog itself uses (its SITE_URL).",
    )


def _unreachable(asked: Asked, failure: TransportError) -> errors.Unreachable:
    local = "Check POSTHOG_HOST and that PostHog runs there"
    remote = "Check POSTHOG_HOST, the network, and POSTHOG_MCP_PROXY if there is a proxy"
    kind, what, why = errors.Unreachable, f"{asked.host} could not be reached for {asked}.", ""
    next_step = remote if asked.host.startswith("https") else local
    if failure.kind == "tls":
        kind = errors.TlsFailed
        why = "There it speaks no TLS that is trusted here."
        next_step = "If a proxy or a company's authority signs it, name its PEM file in POSTHOG_MCP_CA_FILE"
    elif failure.kind == "setup":
        what, why = f"{asked} could not be sent.", "The proxy or the file of authorities cannot be used."
        next_step = "Check POSTHOG_MCP_PROXY and POSTHOG_MCP_CA_FILE"
    elif failure.kind == "broken":
        what = f"The connection to {asked.host} broke during {asked}."
        why = "There was no whole answer."
        if asked.endpoint.effect is not Effect.READ:
            next_step = "It may have happened all the same: look before you repeat it"
    else:
        why = "Nothing answers there, or its name does not resolve."
    error = kind(what, why, next_step + ".")
    error.sent = failure.sent
    return error
