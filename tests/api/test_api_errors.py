import json
import logging
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from typing import Any

import httpx2
import pytest

from posthog_mcp.api import errors
from posthog_mcp.safety.redact import RedactingFilter

FLAGS = "/api/projects/{project_id}/feature_flags/"
QUERY = "/api/projects/{project_id}/query/"


def problem(
    status: int, detail: str, *, code: str = "x", attr: str | None = None, **headers: str
) -> httpx2.Response:
    body = {"type": "validation_error", "code": code, "detail": detail, "attr": attr}
    return httpx2.Response(status, json=body, headers={k.replace("_", "-"): v for k, v in headers.items()})


async def error_of(fake: Any, *answers: Any, path: str = FLAGS, host: str = "", **options: Any) -> Any:
    posthog = fake(*answers)
    with pytest.raises(errors.PostHogError) as caught:
        await posthog.client(host, **options).post(path, {}, project_id=12, seconds=2)
    error = caught.value
    assert error.what
    assert error.why
    assert error.next_step
    assert str(error) == f"{error.what} {error.why} {error.next_step}"
    return error


@pytest.mark.parametrize(
    ("status", "kind"),
    [
        (301, errors.Redirected),
        (400, errors.Invalid),
        (401, errors.NotAuthenticated),
        (402, errors.QuotaExceeded),
        (403, errors.Forbidden),
        (404, errors.NotFound),
        (405, errors.MethodNotAllowed),
        (409, errors.Conflict),
        (413, errors.TooLarge),
        (415, errors.Answered),
        (418, errors.Answered),
        (429, errors.RateLimited),
        (500, errors.ServerError),
        (502, errors.ServerError),
        (503, errors.ServerError),
        (504, errors.QueryTimeout),
        (512, errors.QueryTimeout),
        (599, errors.ServerError),
    ],
)
async def test_each_status_has_its_class(fake: Any, status: int, kind: type[errors.Answered]):
    error = await error_of(fake, problem(status, "Some reason", code="some_code"))
    assert type(error) is kind
    assert error.status == status
    assert error.code == "some_code"
    assert error.said == "Some reason"


async def test_invalid_names_the_field_and_the_project(fake: Any):
    error = await error_of(fake, problem(400, "This field is required.", attr="filters__groups__0"))
    assert error.attr == "filters__groups__0"
    assert "filters__groups__0: This field is required." in error.why
    assert "project 12" in error.next_step


async def test_code_and_detail_the_wrong_way_round_are_put_right(fake: Any):
    body = {"attr": "value", "code": "This field is required.", "detail": "required", "type": "x"}
    error = await error_of(fake, httpx2.Response(400, json=body))
    assert (error.code, error.said) == ("required", "This field is required.")


async def test_a_missing_scope_is_parsed_out_and_the_page_is_named(fake: Any):
    error = await error_of(
        fake, problem(403, "API key missing required scope 'feature_flag:write'"), host="eu"
    )
    assert isinstance(error, errors.MissingScope)
    assert error.scope == "feature_flag:write"
    assert (
        "Add feature_flag:write to the key at https://eu.posthog.com/settings/user-api-keys"
        in error.next_step
    )


async def test_a_key_kept_out_of_a_project_is_told_which(fake: Any):
    error = await error_of(
        fake, problem(403, "API key does not have access to the requested project: ID 12.")
    )
    assert type(error) is errors.Forbidden
    assert "whether 12 is the right project" in error.next_step


async def test_an_unknown_key_names_both_kinds_and_the_region(fake: Any):
    error = await error_of(fake, problem(401, "Personal API key found in request is invalid."))
    assert "personal API key" in error.what
    assert "POSTHOG_PERSONAL_API_KEY" in error.next_step
    assert "POSTHOG_HOST" in error.next_step
    local = await error_of(fake, problem(401, "Invalid."), host="http://localhost:8000")
    assert "POSTHOG_HOST" not in local.next_step


async def test_plain_text_from_the_public_host_is_understood(fake: Any):
    posthog = fake(httpx2.Response(401, text="API key is not valid: personal_api_key"))
    with pytest.raises(errors.NotAuthenticated) as caught:
        await posthog.client().send_batch([])
    assert "API key is not valid: personal_api_key." in caught.value.why
    assert "project token" in caught.value.what
    assert "POSTHOG_API_KEY" in caught.value.next_step


@pytest.mark.parametrize(
    "answer",
    [
        httpx2.Response(500),
        httpx2.Response(500, text="<html><h1>Bad</h1></html>"),
        httpx2.Response(500, json=None),
        httpx2.Response(500, json=[]),
        httpx2.Response(500, json=["gone"]),
        httpx2.Response(500, json={"error": "gone"}),
        httpx2.Response(500, json={"detail": ["a", {"b": 1}]}),
        httpx2.Response(500, json={"error": {"deep": 1}}),
        httpx2.Response(500, json={"query_status": {"error_message": None}}),
        httpx2.Response(500, content=b"\xff\xfe\x00"),
        httpx2.Response(500, content=b"[" * 100_000),
        httpx2.Response(500, content=b"123"),
    ],
)
async def test_any_body_makes_an_error(fake: Any, answer: httpx2.Response):
    error = await error_of(fake, answer)
    assert type(error) is errors.ServerError
    assert "<" not in str(error)
    assert len(str(error)) < 1000


async def test_the_reason_of_a_failed_query_is_found_in_its_status(fake: Any):
    body = {"query_status": {"id": "q", "error": True, "error_message": "Unable to resolve field: foo"}}
    error = await error_of(fake, httpx2.Response(400, json=body))
    assert error.said == "Unable to resolve field: foo"


async def test_what_posthog_says_is_one_clean_line_of_a_few_hundred_characters(fake: Any):
    error = await error_of(fake, problem(400, "line\n\tnext \u202e\u200b" + "x" * 5000))
    assert error.said.startswith("line next x")
    assert len(error.said) <= 301
    assert len(str(error)) < 700


@pytest.mark.parametrize(
    ("headers", "detail", "wait"),
    [
        ({"retry_after": "37"}, "Request was throttled.", 37.0),
        ({}, "Request was throttled. Expected available in 9 seconds.", 9.0),
        ({}, "Expected available in 1 second.", 1.0),
        ({"retry_after": "soon"}, "Request was throttled.", None),
        ({}, "Rate limit exceeded", None),
    ],
)
async def test_the_wait_is_read_from_the_header_or_the_text(
    fake: Any, headers: dict[str, str], detail: str, wait: float | None
):
    error = await error_of(fake, problem(429, detail, **headers))
    assert error.wait == wait
    assert error.limit_class == "crud"
    assert error.spent == "requests"
    assert f"in {int(wait)} second" in error.next_step if wait else "a little later" in error.next_step


async def test_the_wait_may_be_a_date(fake: Any):
    soon = format_datetime(datetime.now(UTC) + timedelta(seconds=100), usegmt=True)
    error = await error_of(fake, problem(429, "Slow down", retry_after=soon))
    assert 90 < error.wait <= 100


async def test_what_is_spent_is_told_apart(fake: Any):
    busy = problem(429, "Exceeded maximum concurrency limit: 3 for key: api:query:per-team:1 and task: a")
    assert (await error_of(fake, busy, path=QUERY)).spent == "concurrency"
    bytes_spent = problem(429, "Used up.", code="api_queries_budget_exceeded", retry_after="900")
    error = await error_of(fake, bytes_spent, path=QUERY)
    assert (error.spent, error.wait, error.limit_class) == ("bytes", 900.0, "query")
    assert "bytes" in error.what


async def test_a_redirect_is_not_followed_and_says_where_it_points(fake: Any):
    answer = httpx2.Response(308, headers={"location": "https://ada:CANARY@other.example/x?key=CANARY"})
    error = await error_of(fake, answer)
    assert "CANARY" not in str(error)
    answer = httpx2.Response(301, headers={"location": "https://other.example/x?key=CANARY"})
    error = await error_of(fake, answer)
    assert "https://other.example." in error.why
    assert "CANARY" not in str(error)


SECRET = "phx_CANARYabcdefghijklmnop"
LEGACY = "oldstylecanary"


def failures(key: str) -> list[Any]:
    echo = f"{key} Authorization: Bearer {key}"
    statuses = (400, 401, 402, 403, 404, 409, 429, 500, 504)
    return [
        *(problem(status, echo, code=echo, attr=echo) for status in statuses),
        *(httpx2.Response(status, text=echo) for status in (400, 401, 413, 429, 503)),
        httpx2.Response(302, headers={"location": f"https://{key}@{key}.example/{key}"}),
        httpx2.Response(200, text=echo, headers={"content-type": f"text/{key}"}),
        httpx2.Response(200, json={"next": f"https://{key}.example/?k={key}", "results": [1]}),
        httpx2.ConnectError(echo),
        httpx2.ConnectError(f"[SSL: CERTIFICATE_VERIFY_FAILED] {echo}"),
        httpx2.ConnectTimeout(echo),
        httpx2.ReadTimeout(echo),
        httpx2.ReadError(echo),
        httpx2.RemoteProtocolError(echo),
        httpx2.DecodingError(echo),
        httpx2.ProxyError(echo),
    ]


@pytest.mark.parametrize("number", range(len(failures(""))))
@pytest.mark.parametrize("key", [SECRET, LEGACY])
async def test_no_failure_shows_a_key(fake: Any, key: str, number: int, caplog: pytest.LogCaptureFixture):
    client = fake(failures(key)[number]).client(personal_api_key=key)
    caplog.handler.addFilter(RedactingFilter([key]))
    with pytest.raises(errors.PostHogError) as caught:
        async for _ in client.pages(FLAGS, project_id=1, seconds=2):
            pass
    error = caught.value
    logging.getLogger("posthog_mcp").error("failed", exc_info=error)
    for shown in (str(error), repr(error), repr(vars(error)), repr(client), repr(client.keys), caplog.text):
        assert "canary" not in shown.lower()
    assert "Traceback" in caplog.text


def test_the_tree_is_the_one_that_is_drawn():
    drawn = errors.__doc__ or ""
    classes = [value for value in vars(errors).values() if isinstance(value, type)]
    assert all(issubclass(each, errors.PostHogError) for each in classes)
    for each in classes:
        assert each.__name__ in drawn


def test_errors_survive_json():
    error = errors.Invalid("a.", "b.", "c.", said="d", status=400, code="e")
    assert json.loads(json.dumps(vars(error)))["said"] == "d"
