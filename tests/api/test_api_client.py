import gzip
import json
from collections.abc import Mapping
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from typing import Any

import anyio
import httpx2
import pytest

from posthog_mcp import __version__
from posthog_mcp.api import Effect, Endpoint, KeyType, LimitClass, PostHogClient, calls, effects_of, errors
from posthog_mcp.limits import Draw, LimitExceeded
from posthog_mcp.settings import Access, Settings

LIST = "/api/projects/{project_id}/annotations/"
ONE = "/api/projects/{project_id}/annotations/{id}/"
QUERY = "/api/projects/{project_id}/query/"
OK = {"ok": True}


def status(code: int, body: Any = None, **headers: str) -> httpx2.Response:
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    return httpx2.Response(
        code, json=body if body is not None else {"detail": "no", "code": ""}, headers=named
    )


def throttled(seconds: float | str) -> httpx2.Response:
    return status(429, {"code": "throttled", "detail": "Request was throttled."}, retry_after=str(seconds))


class Budget:
    """A limiter that notes what it is asked."""

    def __init__(self, failure: LimitExceeded | None = None, waits: float = 0.0) -> None:
        self.failure = failure
        self.waits = waits
        self.asked: list[tuple[str, float]] = []
        self.penalties: list[tuple[str, float | None]] = []
        self.bytes_left: list[int] = []
        self.organizations: dict[str, str] = {}
        self.sending = 0

    @asynccontextmanager
    async def permit(self, draw: Draw, timeout: float, seconds: float):  # noqa: ASYNC109
        assert timeout <= seconds
        self.asked.append((draw.limit_class, timeout))
        if self.failure:
            raise self.failure
        self.sending += 1
        yield self.waits
        self.sending -= 1

    async def penalize(self, draw: Draw, seconds: float | None, *, spent: str = "requests") -> float:
        assert not self.sending
        self.penalties.append((f"{draw.limit_class} {spent}", seconds))
        return seconds or 0.0

    async def note_bytes(self, draw: Draw, remaining: int) -> None:
        assert draw.project_id
        self.bytes_left.append(remaining)

    async def learn(self, draw: Draw, organizations: Mapping[str, str]) -> None:
        assert draw.key
        self.organizations.update(organizations)


async def test_a_private_call_carries_the_personal_key_to_the_private_host(fake: Any):
    posthog = fake(OK)
    assert await posthog.client("eu").get(LIST, project_id=1, query={"search": "a b"}) == OK
    request = posthog.seen[0]
    assert str(request.url) == "https://eu.posthog.com/api/projects/1/annotations/?search=a%20b"
    assert request.headers["authorization"] == "Bearer phx_CANARY0000000000000000000"
    assert request.headers["user-agent"] == f"posthog-mcp/{__version__}"
    assert "x-posthog-client" not in request.headers
    assert "content-type" not in request.headers


async def test_each_verb_sends_its_method_and_body(fake: Any):
    posthog = fake(OK)
    client = posthog.client()
    await client.post(LIST, {"content": "é"}, project_id=1)
    await client.patch(ONE, {"deleted": True}, project_id=1, id=2)
    await client.delete("/api/projects/{project_id}/query/{id}/", project_id=1, id="q-1")
    assert [(request.method, request.url.path) for request in posthog.seen] == [
        ("POST", "/api/projects/1/annotations/"),
        ("PATCH", "/api/projects/1/annotations/2/"),
        ("DELETE", "/api/projects/1/query/q-1/"),
    ]
    assert json.loads(posthog.seen[0].content) == {"content": "é"}
    assert posthog.seen[0].headers["content-type"] == "application/json"


@pytest.mark.parametrize("code", [200, 201, 202, 204])
async def test_an_empty_success_is_an_empty_object(fake: Any, code: int):
    assert await fake(httpx2.Response(code)).client().get(LIST, project_id=1) == {}


async def test_call_gives_status_and_headers_and_takes_not_modified_as_an_answer(fake: Any):
    posthog = fake(httpx2.Response(304, headers={"ETag": 'W/"a"'}))
    asked = Endpoint("GET", "/api/new/{id}/", (KeyType.PERSONAL,), (), Effect.READ, LimitClass.CRUD)
    answer = await posthog.client().call(asked, {"id": "x"}, headers={"If-None-Match": 'W/"a"'})
    assert (answer.status, answer.headers["etag"], answer.body) == (304, 'W/"a"', {})
    assert posthog.seen[0].headers["if-none-match"] == 'W/"a"'


@pytest.mark.parametrize(
    ("text", "kind"), [("<html>", "text/html"), ("{", "application/json"), ("[" * 10**5, "application/json")]
)
async def test_a_success_that_is_not_json_is_an_error(fake: Any, text: str, kind: str):
    answer = httpx2.Response(200, text=text, headers={"content-type": kind})
    with pytest.raises(errors.NotJson, match="POSTHOG_HOST"):
        await fake(answer).client().get(LIST, project_id=1)


async def test_a_wrong_host_is_an_error_of_the_call_not_of_the_start(fake: Any):
    client = fake(OK).client("http://us.posthog.com")
    with pytest.raises(errors.WrongHost):
        await client.get(LIST, project_id=1)


@pytest.mark.parametrize(
    ("access", "refused"),
    [(Access.READ, {"event", "change", "destroy"}), (Access.WRITE, {"destroy"}), (Access.FULL, set[str]())],
)
async def test_effects_beyond_the_access_never_reach_the_transport(
    fake: Any, access: Access, refused: set[str]
):
    posthog = fake({"flags": {}, "results": []})
    client = posthog.client(allow=effects_of(access))
    jobs = {
        "read": client.post(QUERY, {}, project_id=1),
        "event": client.send_batch([]),
        "change": client.patch(ONE, {}, project_id=1, id=1),
        "destroy": client.delete("/api/projects/{project_id}/surveys/{id}/", project_id=1, id=1),
    }
    for effect, job in jobs.items():
        before = len(posthog.seen)
        if effect in refused:
            with pytest.raises(errors.NotAllowed, match="--access"):
                await job
            assert len(posthog.seen) == before
        else:
            await job
            assert len(posthog.seen) == before + 1


async def test_flags_are_a_read(fake: Any):
    client = fake({"flags": {}}).client(allow=effects_of(Access.READ))
    assert (await client.flags("u")).flags == {}


@pytest.mark.parametrize(
    "first", [status(502), status(503), status(504), httpx2.ReadError("x"), throttled(0)]
)
async def test_a_read_is_tried_again_after_a_passing_failure(fake: Any, first: Any):
    posthog = fake(first, OK)
    assert await posthog.client().get(LIST, project_id=1) == OK
    assert len(posthog.seen) == 2


@pytest.mark.parametrize("lasting", [status(500), status(400), status(401), status(404)])
async def test_a_read_is_not_tried_again_after_a_lasting_failure(fake: Any, lasting: Any):
    posthog = fake(lasting)
    with pytest.raises(errors.Answered):
        await posthog.client().get(LIST, project_id=1)
    assert len(posthog.seen) == 1


async def test_trying_again_ends(fake: Any):
    posthog = fake(status(503))
    with pytest.raises(errors.ServerError):
        await posthog.client().get(LIST, project_id=1)
    assert len(posthog.seen) == calls.ATTEMPTS


async def test_a_query_posthog_gave_up_on_is_not_started_again(fake: Any):
    posthog = fake(status(504, {"code": "error", "detail": "Query took too long."}))
    with pytest.raises(errors.QueryTimeout, match="Narrow the time range"):
        await posthog.client().post(QUERY, {}, project_id=1)
    assert len(posthog.seen) == 1


@pytest.mark.parametrize(
    "failure",
    [
        status(502),
        status(503),
        status(504),
        httpx2.ReadError("x"),
        httpx2.WriteError("x"),
        httpx2.RemoteProtocolError("x"),
    ],
)
async def test_a_change_is_never_sent_twice(fake: Any, failure: Any):
    posthog = fake(failure, OK)
    with pytest.raises(errors.PostHogError) as caught:
        await posthog.client().post(LIST, {}, project_id=1)
    assert len(posthog.seen) == 1
    if isinstance(caught.value, errors.Unreachable):
        assert caught.value.sent is True
        assert "look before you repeat it" in caught.value.next_step


@pytest.mark.parametrize(
    "failure", [httpx2.ConnectError("refused"), httpx2.ConnectTimeout("x"), httpx2.PoolTimeout("x")]
)
async def test_a_change_that_never_left_is_sent_again(fake: Any, failure: Any):
    posthog = fake(failure, OK)
    assert await posthog.client().post(LIST, {}, project_id=1) == OK
    assert len(posthog.seen) == 2


async def test_a_change_that_was_throttled_is_sent_again_since_posthog_counts_before_it_looks(fake: Any):
    posthog = fake(throttled(0), OK)
    assert await posthog.client().post(LIST, {}, project_id=1) == OK


@pytest.mark.parametrize("answer", [status(429), status(429, {"code": "throttled", "detail": "x"})])
async def test_a_change_refused_for_an_unclear_limit_is_not_sent_again(fake: Any, answer: Any):
    posthog = fake(answer, OK)
    with pytest.raises(errors.RateLimited):
        await posthog.client().post(LIST, {}, project_id=1)
    assert len(posthog.seen) == 1


async def test_retry_after_is_waited_for_at_least(fake: Any):
    posthog = fake(throttled(1), OK)
    started = anyio.current_time()
    await posthog.client().get(LIST, project_id=1)
    assert 1.0 <= anyio.current_time() - started < 3


@pytest.mark.parametrize("options", [{"call_seconds": 30}, {"wait_seconds": 5}])
async def test_a_wait_that_would_not_end_in_time_is_told_at_once(fake: Any, options: dict[str, float]):
    posthog = fake(throttled(30), OK)
    started = anyio.current_time()
    with pytest.raises(errors.RateLimited) as caught:
        await posthog.client(**options).get(LIST, project_id=1)
    assert caught.value.wait == 30
    assert "in 30 seconds" in caught.value.next_step
    assert anyio.current_time() - started < 1


async def test_every_attempt_asks_the_budget_and_a_429_tells_it(fake: Any):
    budget = Budget()
    posthog = fake(throttled(0), status(503), OK)
    await posthog.client(limiter=budget).post(QUERY, {}, project_id=1)
    assert [limit_class for limit_class, _ in budget.asked] == ["query"] * 3
    [(what, seconds)] = budget.penalties
    assert what == "query requests"
    assert 0 <= seconds < 0.1


async def test_a_429_without_a_time_leaves_it_to_the_limiter(fake: Any):
    budget = Budget()
    await fake(status(429), OK).client(limiter=budget).get(LIST, project_id=1)
    assert budget.penalties == [("crud requests", None)]


async def test_a_spent_budget_of_bytes_is_told_apart(fake: Any):
    budget = Budget()
    spent = status(429, {"code": "api_queries_budget_exceeded", "detail": "used up"}, retry_after="0")
    await fake(spent, OK).client(limiter=budget).post(QUERY, {}, project_id=1)
    assert [what for what, _ in budget.penalties] == ["query bytes"]


async def test_the_bytes_left_are_read_from_the_answer_to_a_query(fake: Any):
    budget = Budget()
    answer = httpx2.Response(200, json=OK, headers={"X-PostHog-Query-Budget-Remaining-Bytes": "-12"})
    await fake(answer).client(limiter=budget).post(QUERY, {}, project_id=1)
    assert budget.bytes_left == [-12]


@pytest.mark.parametrize(
    ("path", "params", "body", "named"),
    [
        (
            "/api/projects/{project_id}/",
            {"project_id": 1},
            {"id": 1, "organization": "a"},
            {"project 1": "a"},
        ),
        (
            "/api/organizations/{organization_id}/projects/",
            {"organization_id": "a"},
            {"results": [{"id": 1}, {"id": 2}]},
            {"project 1": "a", "project 2": "a"},
        ),
        ("/api/users/@me/", {}, {"organization": {"id": "a"}}, {"key": "a"}),
        ("/api/organizations/", {}, {"results": [{"id": "a"}]}, {"key": "a"}),
        ("/api/organizations/", {}, {"results": [{"id": "a"}, {"id": "b"}]}, {}),
        ("/api/users/@me/", {}, {"organization": None}, {}),
        (LIST, {"project_id": 1}, {"organization": "a"}, {}),
        ("/api/organizations/", {}, [1], {}),
    ],
)
async def test_answers_that_name_an_organization_are_told_to_the_limiter(
    fake: Any, path: str, params: dict[str, object], body: Any, named: dict[str, str]
):
    budget = Budget()
    await fake(body).client(limiter=budget).get(path, **params)
    assert budget.organizations == named


async def test_too_many_queries_at_once_do_not_penalize_the_rates(fake: Any):
    budget = Budget()
    busy = status(429, {"code": "throttled", "detail": "Exceeded maximum concurrency limit: 3 for key: a"})
    assert await fake(busy, OK).client(limiter=budget).post(QUERY, {}, project_id=1) == OK
    assert budget.penalties == []


async def test_waits_share_one_patience(fake: Any):
    budget = Budget(waits=10)
    posthog = fake(status(503), status(503), OK)
    await posthog.client(limiter=budget, wait_seconds=25).get(LIST, project_id=1)
    patience = [round(timeout) for _, timeout in budget.asked]
    assert patience == [25, 15, 5]


async def test_no_permit_in_time_is_told_with_the_wait_and_nothing_is_sent(fake: Any):
    failure = LimitExceeded("480 reads and changes a minute", 90.4)
    posthog = fake(OK)
    with pytest.raises(errors.RateLimited) as caught:
        await posthog.client(limiter=Budget(failure)).get(LIST, project_id=1)
    assert caught.value.wait == 90.4
    assert caught.value.limit_class == "crud"
    assert "the limit of 480 reads and changes a minute is spent" in caught.value.what
    assert "91 seconds" in caught.value.next_step
    assert posthog.seen == []


async def test_public_calls_draw_on_no_limit_but_honour_a_429(fake: Any):
    budget = Budget()
    posthog = fake(status(429, retry_after="0"), {"flags": {}})
    await posthog.client(limiter=budget).flags("ada")
    assert [limit_class for limit_class, _ in budget.asked] == ["none", "none"]
    assert [what for what, _ in budget.penalties] == ["none requests"]


async def test_a_batch_is_compressed_and_carries_token_time_and_events(fake: Any):
    posthog = fake({"status": "Ok"})
    event = {"event": "a", "distinct_id": "u", "properties": {"x": "é"}}
    sent_at = datetime(2026, 3, 1, tzinfo=UTC)
    answer = await posthog.client("eu").send_batch([event, event], historical=True, sent_at=sent_at)
    request = posthog.seen[0]
    assert str(request.url) == "https://eu.i.posthog.com/batch/"
    assert request.headers["content-encoding"] == "gzip"
    assert "authorization" not in request.headers
    assert json.loads(gzip.decompress(request.content)) == {
        "api_key": "phc_public",
        "historical_migration": True,
        "sent_at": "2026-03-01T00:00:00+00:00",
        "batch": [event, event],
    }
    assert answer.quota_limited == ()


async def test_events_already_written_as_json_go_as_they_are_with_another_token(fake: Any):
    posthog = fake({"status": 1})
    client = posthog.client(project_token=None, personal_api_key=None)
    await client.send_batch([b'{"event": "a"}'], token="phc_other")
    body = gzip.decompress(posthog.seen[0].content)
    assert b'"batch":[{"event": "a"}]' in body
    assert json.loads(body)["api_key"] == "phc_other"


async def test_a_batch_is_not_sent_twice_by_itself(fake: Any):
    posthog = fake(status(503), {"status": "Ok"})
    with pytest.raises(errors.ServerError):
        await posthog.client().send_batch([])
    assert len(posthog.seen) == 1


async def test_a_quota_inside_a_success_is_noticed(fake: Any):
    answer = await fake({"status": "Ok", "quota_limited": ["events"]}).client().send_batch([])
    assert answer.quota_limited == ("events",)


async def test_flags_are_asked_with_everything_that_counts(fake: Any):
    posthog = fake(
        {
            "errorsWhileComputingFlags": True,
            "flags": {"a": {"key": "a", "enabled": True}},
            "requestId": "r",
            "evaluatedAt": 5,
            "quotaLimited": ["feature_flags"],
        }
    )
    answer = await posthog.client().flags(
        "u",
        groups={"company": "acme"},
        person_properties={"plan": "pro"},
        group_properties={"company": {"size": 3}},
        device_id="d",
        anonymous_id="anon",
        flag_keys=["a"],
    )
    assert str(posthog.seen[0].url) == "https://us.i.posthog.com/flags/?v=2"
    assert posthog.bodies == [
        {
            "api_key": "phc_public",
            "distinct_id": "u",
            "geoip_disable": True,
            "groups": {"company": "acme"},
            "person_properties": {"plan": "pro"},
            "group_properties": {"company": {"size": 3}},
            "device_id": "d",
            "$anon_distinct_id": "anon",
            "flag_keys_to_evaluate": ["a"],
            "evaluation_runtime": "server",
        }
    ]
    assert answer.flags == {"a": {"key": "a", "enabled": True}}
    assert (answer.incomplete, answer.quota_limited) == (True, ("feature_flags",))
    assert (answer.request_id, answer.evaluated_at) == ("r", 5)


@pytest.mark.parametrize("body", [{}, [], {"flags": []}, "x"])
async def test_an_answer_without_flags_is_not_taken_for_all_off(fake: Any, body: Any):
    with pytest.raises(errors.BadAnswer):
        await fake(body).client().flags("u")


async def pages(client: PostHogClient, **options: Any) -> list[tuple[list[Any], int | None, bool]]:
    walked = client.pages(LIST, project_id=1, **options)
    return [(page.results, page.total, page.more) async for page in walked]


def page(results: list[int], following: str | None, **more: Any) -> dict[str, Any]:
    return {"results": results, "next": following, **more}


async def test_pages_follow_the_links_of_the_same_host(fake: Any):
    link = "https://us.posthog.com/api/environments/1/annotations/?limit=2&offset=2&search=a%20b"
    posthog = fake(page([1, 2], link, count=3), page([3], None, count=3))
    assert await pages(posthog.client(), query={"search": "a b"}) == [([1, 2], 3, True), ([3], 3, False)]
    second = posthog.seen[1].url
    assert second.path == "/api/projects/1/annotations/"
    assert dict(second.params) == {"limit": "2", "offset": "2", "search": "a b"}


async def test_pages_end_at_the_limit_and_say_that_there_is_more(fake: Any):
    link = "https://us.posthog.com/x/?cursor=c"
    posthog = fake(page([1, 2], link), page([3, 4], link + "2"))
    assert await pages(posthog.client(), limit=3) == [([1, 2], None, True), ([3], None, True)]
    assert dict(posthog.seen[0].url.params) == {"limit": "3"}
    assert len(posthog.seen) == 2


async def test_a_limit_of_none_at_all_asks_nothing(fake: Any):
    posthog = fake(OK)
    assert await pages(posthog.client(), limit=0) == []
    assert posthog.seen == []


async def test_pages_with_a_flag_in_the_body_go_on_by_offset_or_cursor(fake: Any):
    posthog = fake(
        {"results": [1, 2], "has_next": True},
        {"results": [3], "hasMore": True, "next_cursor": "c"},
        {"results": [4], "has_next": False},
    )
    assert [results for results, _, _ in await pages(posthog.client())] == [[1, 2], [3], [4]]
    assert [dict(request.url.params) for request in posthog.seen] == [
        {},
        {"offset": "2"},
        {"after": "c"},
    ]


async def test_a_bare_list_is_one_page(fake: Any):
    assert await pages(fake([1, 2]).client()) == [([1, 2], 2, False)]


@pytest.mark.parametrize("body", [OK, {"results": {}}, "x"])
async def test_a_list_that_is_none_is_an_error(fake: Any, body: Any):
    with pytest.raises(errors.BadAnswer):
        await pages(fake(body).client())


@pytest.mark.parametrize(
    "link",
    [
        "https://evil.example/api/projects/1/annotations/?offset=2",
        "http://us.posthog.com/?offset=2",
        "https://us.posthog.com.evil.example/?offset=2",
        "https://us.posthog.com@evil.example/?offset=2",
        "//evil.example/?offset=2",
        "?offset=2",
    ],
)
async def test_a_link_to_another_place_is_not_followed(fake: Any, link: str):
    posthog = fake(page([1], link))
    with pytest.raises(errors.ForeignLink):
        await pages(posthog.client())
    assert len(posthog.seen) == 1


async def test_pages_that_lead_in_a_circle_end(fake: Any):
    posthog = fake(page([1], "https://us.posthog.com/?offset=2"))
    with pytest.raises(errors.BadAnswer, match="same one"):
        await pages(posthog.client())
    assert len(posthog.seen) == 2
    empty = fake(page([], "https://us.posthog.com/?offset=2"))
    assert await pages(empty.client()) == [([], None, True)]


async def test_a_client_of_settings_has_their_keys_host_and_access():
    env: Mapping[str, str] = {
        "HOME": "/home/ada",
        "POSTHOG_HOST": "eu",
        "POSTHOG_PERSONAL_API_KEY": "phx_a",
        "POSTHOG_MCP_ACCESS": "read",
    }
    async with PostHogClient.from_settings(Settings.load(env)) as client:
        assert client.hosts.region == "eu"
        with pytest.raises(errors.NotAllowed):
            await client.post(LIST, {}, project_id=1)
