"""PostHog's HTTP API for programs: generic verbs over the table of endpoints, lists, events and flags."""

import gzip
from collections.abc import AsyncIterator, Collection, Mapping, Sequence
from contextlib import AbstractAsyncContextManager
from datetime import UTC, datetime
from pathlib import Path
from types import TracebackType
from typing import Any, Self, cast

import anyio.to_thread
from pydantic import SecretStr

from posthog_mcp.api.answers import Answer, BatchAnswer, FlagsAnswer, Page
from posthog_mcp.api.calls import WAIT_SHARE, Caller, Limiter, Request
from posthog_mcp.api.endpoints import Effect, Endpoint, effects_of, endpoint
from posthog_mcp.api.failures import unusable
from posthog_mcp.api.hosts import Hosts
from posthog_mcp.api.keys import Keys
from posthog_mcp.api.paging import following, listed
from posthog_mcp.api.requests import body_of, query_of
from posthog_mcp.api.transport import Transport
from posthog_mcp.settings import Settings

PAGE_SIZE = 100


class PostHogClient:
    """One PostHog, asked with one set of keys. Nothing is opened before the first call.

    Args:
        host: `us`, `eu`, or the address of a PostHog; empty means US Cloud.
        project_token: phc_…, for events and flag evaluation.
        personal_api_key: phx_… (or pha_…), for everything private.
        project_secret_key: phs_…, for flag definitions.
        allow: Effects that calls may have; others are refused before anything is sent.
        limiter: Shared budget of requests; None sends at once.
        call_seconds: Time of one call with all its attempts.
        wait_seconds: How much of that may be spent waiting for limits.
        proxy: URL of an HTTP proxy; the system's proxy variables are not read.
        ca_file: PEM file of the certificate authorities to trust instead of the system's.
        transport: A transport to share; it is not closed with this client.

    Every call raises a `PostHogError`; see `api.errors` for its kinds.
    """

    def __init__(
        self,
        host: str = "",
        *,
        project_token: str | SecretStr | None = None,
        personal_api_key: str | SecretStr | None = None,
        project_secret_key: str | SecretStr | None = None,
        allow: Collection[Effect] = tuple(Effect),
        limiter: Limiter | None = None,
        call_seconds: float = 45.0,
        wait_seconds: float = 25.0,
        proxy: str | SecretStr | None = None,
        ca_file: Path | None = None,
        transport: Transport | None = None,
    ) -> None:
        proxy = _secret(proxy)
        self._owned = transport is None
        self._transport = transport or Transport(
            proxy=proxy.get_secret_value() if proxy else "", ca_file=ca_file
        )
        self._caller = Caller(
            host,
            Keys(_secret(project_token), _secret(personal_api_key), _secret(project_secret_key)),
            self._transport,
            allow=frozenset(allow),
            limiter=limiter,
            call_seconds=call_seconds,
            wait_seconds=wait_seconds,
        )

    @classmethod
    def from_settings(
        cls, settings: Settings, *, limiter: Limiter | None = None, transport: Transport | None = None
    ) -> Self:
        """A client with the keys, host, access and network options of a start."""
        return cls(
            settings.host,
            project_token=settings.project_token,
            personal_api_key=settings.personal_api_key,
            project_secret_key=settings.project_secret_key,
            allow=effects_of(settings.access),
            limiter=limiter,
            call_seconds=settings.call_seconds,
            wait_seconds=settings.call_seconds * WAIT_SHARE,
            proxy=settings.proxy,
            ca_file=settings.ca_file,
            transport=transport,
        )

    @property
    def hosts(self) -> Hosts:
        """The hosts that calls go to.

        Raises:
            WrongHost: The configured host cannot be one.
        """
        return self._caller.hosts

    @property
    def keys(self) -> Keys:
        """The configured keys."""
        return self._caller.keys

    def project_token(self) -> str:
        """The project token, for those who send events themselves.

        Raises:
            WrongKey: There is none, or it is a key of another kind.
        """
        return self._project_token(endpoint("POST", "/batch/"), None)

    async def limits(self, project_id: int | None = None) -> dict[str, Any] | None:
        """How much of PostHog's limits is spent, as all who share the limiter count it; None without one."""
        return await self._caller.limits("" if project_id is None else str(project_id))

    def running(self, project_id: int, seconds: float) -> AbstractAsyncContextManager[None]:
        """Count a query that PostHog runs in the background among those that may run at once, while inside.

        Args:
            project_id: Its project.
            seconds: The most it is waited for.
        """
        return self._caller.running(str(project_id), seconds)

    async def call(
        self,
        asked: Endpoint,
        params: Mapping[str, object] | None = None,
        /,
        *,
        query: Mapping[str, object] | None = None,
        body: Any = None,
        headers: Mapping[str, str] | None = None,
        seconds: float | None = None,
        answer_seconds: float | None = None,
    ) -> Answer:
        """Call an endpoint and get the whole answer, status and header fields included.

        Args:
            asked: An endpoint of the table, or one made from an instance's own description of its API.
            params: What fills its path template.
            query: Query parameters; None is left out, lists and objects are sent as JSON.
            body: JSON body; None sends none.
            headers: More header fields, such as `If-None-Match`; a 304 is then an answer, not an error.
            seconds: Time for this call instead of the client's.
            answer_seconds: The most an answer may take once the request is sent, waits for limits left aside.
        """
        content = None if body is None else body_of(body)
        request = Request(asked, params or {}, query or {}, content, headers or {}, answer_seconds)
        return await self._caller.call(request, seconds=seconds)

    async def get(
        self,
        path: str,
        /,
        *,
        query: Mapping[str, object] | None = None,
        seconds: float | None = None,
        answer_seconds: float | None = None,
        **params: object,
    ) -> Any:
        """Read from a path template of the table, such as `/api/projects/{project_id}/cohorts/{id}/`.

        Args:
            path: The template, exactly as `api.endpoints` has it.
            query: Query parameters; None is left out, lists and objects are sent as JSON.
            seconds: Time for this call instead of the client's.
            answer_seconds: See `call`.
            params: What fills the template.

        Returns:
            The parsed JSON.
        """
        asked = endpoint("GET", path)
        answer = await self.call(asked, params, query=query, seconds=seconds, answer_seconds=answer_seconds)
        return answer.body

    async def post(
        self,
        path: str,
        body: Any = None,
        /,
        *,
        query: Mapping[str, object] | None = None,
        seconds: float | None = None,
        answer_seconds: float | None = None,
        **params: object,
    ) -> Any:
        """Like `get`, with a JSON body; `None` sends none."""
        asked = endpoint("POST", path)
        answer = await self.call(
            asked, params, query=query, body=body, seconds=seconds, answer_seconds=answer_seconds
        )
        return answer.body

    async def patch(self, path: str, body: Any, /, *, seconds: float | None = None, **params: object) -> Any:
        """Change the fields in `body` and leave the others."""
        return (await self.call(endpoint("PATCH", path), params, body=body, seconds=seconds)).body

    async def delete(
        self,
        path: str,
        /,
        *,
        query: Mapping[str, object] | None = None,
        seconds: float | None = None,
        **params: object,
    ) -> Any:
        """Delete, or cancel a query."""
        return (await self.call(endpoint("DELETE", path), params, query=query, seconds=seconds)).body

    async def pages(
        self,
        path: str,
        /,
        *,
        query: Mapping[str, object] | None = None,
        limit: int | None = None,
        seconds: float | None = None,
        **params: object,
    ) -> AsyncIterator[Page]:
        """Walk a list, whatever way of paging the endpoint has.

        Args:
            path: Path template of the list.
            query: Query of the first page; a `limit` in it is the size of a page.
            limit: Most objects over all pages.
            seconds: Time for each page.
            params: What fills the template.

        Raises:
            ForeignLink: The link to the next page leaves the host.
        """
        asked = endpoint("GET", path)
        if limit is not None and limit < 1:
            return
        asking = dict(query or {})
        if limit is not None:
            asking.setdefault("limit", min(limit, PAGE_SIZE))
        given = 0
        while True:
            body = (await self.call(asked, params, query=asking, seconds=seconds)).body
            results, total = listed(body, asked)
            behind = following(body, asking, asked, self.hosts.private, self._caller.secrets)
            kept = results if limit is None else results[: limit - given]
            given += len(kept)
            cut = len(kept) < len(results)
            yield Page(kept, total, more=cut or behind is not None)
            if behind is None or not results or (limit is not None and given >= limit):
                return
            if query_of(behind) == query_of(asking):
                raise unusable(asked, "Its link to the next page leads back to the same one.")
            asking = behind

    async def send_batch(
        self,
        events: Sequence[Mapping[str, object]] | Sequence[bytes],
        *,
        token: str | None = None,
        historical: bool = False,
        sent_at: datetime | None = None,
        seconds: float | None = None,
    ) -> BatchAnswer:
        """Send events to `POST /batch/`, compressed. Sent again, events with the same uuid count once.

        Nothing is retried here except what never left: whoever owns the events keeps them until this
        returns.

        Args:
            events: `{"event", "distinct_id", "properties", "timestamp", "uuid"}` each, as objects or already
                written as JSON.
            token: Project token instead of the client's.
            historical: Send them down PostHog's lane for old events.
            sent_at: Time of sending by the clock that wrote the timestamps; now by default.
            seconds: Time for this call instead of the client's.
        """
        asked = endpoint("POST", "/batch/")
        key = self._project_token(asked, token)
        head = body_of(
            {
                "api_key": key,
                "historical_migration": historical,
                "sent_at": (sent_at or datetime.now(UTC)).isoformat(),
            }
        )
        written = [event if isinstance(event, bytes) else body_of(event) for event in events]
        content = head[:-1] + b',"batch":[' + b",".join(written) + b"]}"
        packed = await anyio.to_thread.run_sync(_packed, content)
        request = Request(asked, content=packed, headers={"Content-Encoding": "gzip"})
        answer = await self._caller.call(request, seconds=seconds)
        return BatchAnswer(_texts(answer.body, "quota_limited"))

    async def flags(
        self,
        distinct_id: str,
        *,
        groups: Mapping[str, str] | None = None,
        person_properties: Mapping[str, object] | None = None,
        group_properties: Mapping[str, Mapping[str, object]] | None = None,
        device_id: str | None = None,
        anonymous_id: str | None = None,
        flag_keys: Sequence[str] | None = None,
        runtime: str | None = "server",
        geoip: bool = False,
        token: str | None = None,
        seconds: float | None = None,
    ) -> FlagsAnswer:
        """Have PostHog evaluate flags for a person (`POST /flags/?v=2`).

        Args:
            distinct_id: The person.
            groups: Group keys by group type.
            person_properties: Properties that count instead of the stored ones.
            group_properties: The same by group type.
            device_id: For flags that are bucketed by device.
            anonymous_id: The id used before the person was identified.
            flag_keys: Only these flags.
            runtime: `server` or `client` leaves out flags meant for the other; None lets PostHog guess.
            geoip: Also match the location of this machine's address, which is rarely the person's.
            token: Project token instead of the client's.
            seconds: Time for this call instead of the client's.
        """
        asked = endpoint("POST", "/flags/")
        key = self._project_token(asked, token)
        optional = {
            "groups": groups,
            "person_properties": person_properties,
            "group_properties": group_properties,
            "device_id": device_id,
            "$anon_distinct_id": anonymous_id,
            "flag_keys_to_evaluate": flag_keys,
            "evaluation_runtime": runtime,
        }
        body = {"api_key": key, "distinct_id": distinct_id, "geoip_disable": not geoip}
        body |= {name: value for name, value in optional.items() if value is not None}
        return _flags_answer(asked, (await self.call(asked, query={"v": 2}, body=body, seconds=seconds)).body)

    async def close(self) -> None:
        """Close the connections this client opened."""
        if self._owned:
            await self._transport.close()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.close()

    def _project_token(self, asked: Endpoint, token: str | None) -> str:
        keys = self.keys if token is None else Keys(project=SecretStr(token))
        return keys.choose(asked.keys, str(asked), (), self.hosts)


def _secret(key: str | SecretStr | None) -> SecretStr | None:
    given = key.get_secret_value() if isinstance(key, SecretStr) else key or ""
    return SecretStr(given.strip()) if given.strip() else None


def _packed(content: bytes) -> bytes:
    # level 1: events shrink to a tenth as it is, and the sender's time counts
    return gzip.compress(content, compresslevel=1, mtime=0)


def _texts(body: Any, name: str) -> tuple[str, ...]:
    listed: Any = cast("dict[str, Any]", body).get(name) if isinstance(body, dict) else None
    return tuple(str(item) for item in cast("list[Any]", listed)) if isinstance(listed, list) else ()


def _flags_answer(asked: Endpoint, body: Any) -> FlagsAnswer:
    fields = cast("dict[str, Any]", body) if isinstance(body, dict) else {}
    flags: Any = fields.get("flags")
    if not isinstance(flags, dict):
        raise unusable(asked, "It holds no flags.")
    return FlagsAnswer(
        cast("dict[str, dict[str, Any]]", flags),
        bool(fields.get("errorsWhileComputingFlags")),
        _texts(fields, "quotaLimited"),
        str(fields.get("requestId") or ""),
        fields.get("evaluatedAt"),
    )
