"""Which key opens which door, and the words of a refusal."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from httpx2 import AsyncClient

ME = "/api/users/@me/"
NOTES = "/api/projects/1/annotations/"
INVALID = "Personal API key found in request Authorization header is invalid."


def bearer(key: str) -> dict[str, str]:
    return {"Authorization": f"Bearer {key}"}


async def test_without_a_key_the_answer_is_401_and_names_the_scheme(anyone: AsyncClient):
    reply = await anyone.get(ME)
    assert reply.status_code == 401
    assert reply.headers["www-authenticate"] == "Bearer"
    assert reply.json() == {
        "type": "authentication_error",
        "code": "not_authenticated",
        "detail": "Authentication credentials were not provided.",
        "attr": None,
    }


@pytest.mark.parametrize("key", ["phx_nobody", "phc_sandbox", "nonsense"])
async def test_a_key_that_is_no_personal_key_is_called_invalid(anyone: AsyncClient, key: str):
    reply = await anyone.get(ME, headers=bearer(key))
    assert reply.status_code == 401
    assert reply.json()["code"] == "authentication_failed"
    assert reply.json()["detail"] == INVALID


async def test_an_oauth_token_counts_as_no_credential(anyone: AsyncClient):
    reply = await anyone.get(ME, headers=bearer("pha_unknown"))
    assert reply.json()["code"] == "not_authenticated"


async def test_a_key_is_taken_from_the_body_and_the_query_string(anyone: AsyncClient):
    body = {"content": "from the body", "scope": "project", "personal_api_key": "phx_sandbox"}
    assert (await anyone.post(NOTES, json=body)).status_code == 201
    assert (await anyone.get(NOTES, params={"personal_api_key": "phx_sandbox"})).json()["count"] == 1


async def test_the_header_wins_over_the_query_string(anyone: AsyncClient):
    reply = await anyone.get(NOTES, params={"personal_api_key": "phx_sandbox"}, headers=bearer("phx_no"))
    assert reply.json()["detail"] == INVALID


@pytest.mark.parametrize(("place", "words"), [("json", "body"), ("params", "query string")])
async def test_a_refusal_says_where_the_key_was_found(anyone: AsyncClient, place: str, words: str):
    reply = await anyone.post(NOTES, **{place: {"personal_api_key": "phx_no"}})
    assert reply.json()["detail"] == f"Personal API key found in request {words} is invalid."


async def test_a_reading_key_reads(reader: AsyncClient):
    assert (await reader.get(NOTES)).status_code == 200
    scopes = (await reader.get("/api/personal_api_keys/@current/")).json()["scopes"]
    assert "feature_flag:read" in scopes
    assert all(scope.endswith(":read") for scope in scopes)


async def test_a_reading_key_is_told_the_scope_it_lacks(reader: AsyncClient):
    reply = await reader.post(NOTES, json={"content": "x"})
    assert reply.status_code == 403
    assert reply.json() == {
        "type": "authentication_error",
        "code": "permission_denied",
        "detail": "API key missing required scope 'annotation:write'",
        "attr": None,
    }


async def test_a_secret_key_opens_only_what_takes_it(anyone: AsyncClient):
    reply = await anyone.get(NOTES, headers=bearer("phs_sandbox"))
    assert reply.status_code == 403
    assert reply.json()["detail"] == "This action does not support project secret API key access"


async def test_the_full_key_shows_its_scopes_but_not_itself(api: AsyncClient):
    key = (await api.get("/api/personal_api_keys/@current")).json()
    assert key["scopes"] == ["*"]
    assert key["mask_value"] == "phx...dbox"
    assert "phx_sandbox" not in str(key)
