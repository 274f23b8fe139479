"""Everything that can go wrong on the way to PostHog and back, one class for each kind.

    PostHogError                    what failed, why, what to do next
    ├── Refused                     before any network
    │   ├── WrongKey                no key, or a key of another kind than the endpoint takes
    │   ├── WrongHost               the configured host cannot be one
    │   ├── NotAllowed              this client may not do what the endpoint does
    │   └── NotSendable             an id, a query value or a body that no request can carry
    ├── Answered                    PostHog answered with an error; any status not named below
    │   ├── Redirected              3xx
    │   ├── Invalid                 400
    │   ├── NotAuthenticated        401
    │   ├── QuotaExceeded           402
    │   ├── Forbidden               403
    │   │   └── MissingScope        403 that names the scope
    │   ├── NotFound                404
    │   ├── MethodNotAllowed        405
    │   ├── Conflict                409
    │   ├── TooLarge                413
    │   ├── RateLimited             429, or our own budget leaves no room in time
    │   └── ServerError             5xx
    │       └── QueryTimeout        504, 512
    ├── NoAnswer
    │   ├── Unreachable             no connection, or it broke
    │   │   └── TlsFailed           no TLS, or a certificate that is not trusted
    │   └── Timeout                 the time of the call was over
    └── BadAnswer                   an answer that cannot be used
        ├── NotJson
        ├── AnswerTooLarge
        └── ForeignLink             the link to the next page leaves the configured host

`str(error)` is three sentences for a person or a model. No error holds a key, and what PostHog said is cut.
"""


class PostHogError(Exception):
    """A call to PostHog did not succeed.

    Attributes:
        what: One sentence: what failed.
        why: One sentence: the reason, as far as it is known.
        next_step: One sentence: what to do about it.
        said: PostHog's own words inside `why`, shortened and without keys, else empty. They may repeat what
            outsiders wrote.
    """

    def __init__(self, what: str, why: str, next_step: str, *, said: str = "") -> None:
        self.what = what
        self.why = why
        self.next_step = next_step
        self.said = said
        super().__init__(" ".join(filter(None, (what, why, next_step))))


class Refused(PostHogError):  # noqa: N818 - the tree reads as words
    """Refused here, before anything was sent."""


class WrongKey(Refused):
    """The call needs a key that is not configured, or that is of another kind.

    Attributes:
        variable: The environment variable that should hold it.
    """

    def __init__(self, what: str, why: str, next_step: str, *, variable: str = "") -> None:
        super().__init__(what, why, next_step)
        self.variable = variable


class WrongHost(Refused):
    """The configured host is none that PostHog can be asked at."""


class NotAllowed(Refused):
    """The endpoint does more than this client was allowed to do."""


class NotSendable(Refused):
    """An id, a query value or a body does not fit into a request."""


class Answered(PostHogError):  # noqa: N818 - the tree reads as words
    """PostHog answered with an error.

    Attributes:
        status: The HTTP status.
        code: PostHog's code of the error, such as `invalid_input`, else empty.
        wait: Seconds after which PostHog says to come back; None when it does not say.
    """

    wait: float | None = None

    def __init__(
        self, what: str, why: str, next_step: str, *, said: str = "", status: int = 0, code: str = ""
    ) -> None:
        super().__init__(what, why, next_step, said=said)
        self.status = status
        self.code = code


class Redirected(Answered):
    """The host sends callers elsewhere; a redirect is never followed, because a key would go along."""


class Invalid(Answered):
    """The request does not fit.

    Attributes:
        attr: The field PostHog names, nested ones joined by `__`, else empty.
    """

    attr: str = ""


class NotAuthenticated(Answered):
    """The key is unknown to this host."""


class QuotaExceeded(Answered):
    """The plan or its billing limit does not cover the call."""


class Forbidden(Answered):
    """The key is known, but may not do this."""


class MissingScope(Forbidden):
    """The key lacks a scope.

    Attributes:
        scope: Its name, such as `annotation:write`.
    """

    scope: str = ""


class NotFound(Answered):
    """There is no such object, or the key cannot see it."""


class MethodNotAllowed(Answered):
    """PostHog does not offer this on that object."""


class Conflict(Answered):
    """Someone else changed the object, or a change of it must be approved."""


class TooLarge(Answered):
    """The body is larger than the host takes."""


class RateLimited(Answered):
    """A limit is spent.

    Attributes:
        limit_class: Which limits count this call: crud, analytics, query, values, definitions or none.
        spent: What is used up: `requests`, `concurrency` or `bytes`.
    """

    limit_class: str = ""
    spent: str = "requests"


class ServerError(Answered):
    """PostHog failed or is too busy."""


class QueryTimeout(ServerError):  # noqa: N818 - the tree reads as words
    """A query took more time or memory than PostHog grants."""


class NoAnswer(PostHogError):  # noqa: N818 - the tree reads as words
    """There is no answer; a change may or may not have happened unless `sent` is False.

    Attributes:
        sent: False when it is certain that PostHog never saw the request.
    """

    sent: bool = True


class Unreachable(NoAnswer):
    """The host cannot be reached, or the connection broke before the answer."""


class TlsFailed(Unreachable):
    """The host speaks no TLS, or its certificate is not trusted."""


class Timeout(NoAnswer):
    """The time of the call was over before PostHog answered."""


class BadAnswer(PostHogError):  # noqa: N818 - the tree reads as words
    """PostHog answered with something that cannot be used."""


class NotJson(BadAnswer):
    """The answer is not the JSON it should be."""


class AnswerTooLarge(BadAnswer):
    """The answer is larger than this client takes."""


class ForeignLink(BadAnswer):
    """The link to the next page leads to another host."""
