"""Definitions are asked for as seldom as they may be, shared, and never older than they say."""

import json
import os
import shutil
import stat
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import anyio
import httpx2
import pytest

from posthog_mcp.api import PostHogClient, Transport, calls, errors
from posthog_mcp.flags.definitions import DefinitionsSource, DefinitionsUnavailable, readable

POLL = 300.0


def flag(key: str, *, share: float = 100, version: int = 1) -> dict[str, Any]:
    return {
        "id": 1, "key": key, "active": True, "version": version,
        "filters": {"groups": [{"properties": [], "rollout_percentage": share}]},
    }  # fmt: skip


def answer(*flags: dict[str, Any], etag: str = 'W/"1"') -> httpx2.Response:
    return httpx2.Response(200, json={"flags": list(flags)}, headers={"ETag": etag})


class PostHog:
    """Answers the requests for definitions one by one, the last for ever."""

    def __init__(self, *answers: httpx2.Response | Exception) -> None:
        self.answers = list(answers)
        self.seen: list[httpx2.Request] = []

    def __call__(self, request: httpx2.Request) -> httpx2.Response:
        self.seen.append(request)
        given = self.answers.pop(0) if len(self.answers) > 1 else self.answers[0]
        if isinstance(given, Exception):
            raise given
        return given

    def client(self, **keys: str) -> PostHogClient:
        held = {"project_token": "phc_public", "project_secret_key": "phs_secret", **keys}
        return PostHogClient(transport=Transport(wire=httpx2.MockTransport(self)), **held)


class Clock:
    def __init__(self) -> None:
        self.now = 1_000_000.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture(autouse=True)
def _short_pauses(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(calls, "BACKOFF_SECONDS", 0.001)


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
async def make(tmp_path, clock):
    made: list[DefinitionsSource] = []

    def source(
        posthog: PostHog, state_dir: Path | None = tmp_path, redis_url: str = "", **keys: str
    ) -> DefinitionsSource:
        client = posthog.client(**keys)
        made.append(DefinitionsSource(client, state_dir, poll_seconds=POLL, redis_url=redis_url, clock=clock))
        return made[-1]

    yield source
    for each in made:
        await each.close()


@pytest.fixture
def redis_url(tmp_path):
    """A Redis on this machine, on a socket of its own."""
    program = shutil.which("redis-server") or shutil.which("valkey-server")
    if program is None:
        why = "there is no redis-server on this machine (apt-get install redis-server)"
        assert os.environ.get("CI") != "true", why
        pytest.skip(why)
    path = tmp_path / "redis.sock"
    options = ["--port", "0", "--unixsocket", path, "--save", "", "--dir", tmp_path]
    process = subprocess.Popen([program, *options], stdout=subprocess.DEVNULL)
    until = time.monotonic() + 10
    while not path.exists():
        assert time.monotonic() < until, "redis-server did not answer within 10 s"
        time.sleep(0.02)
    yield f"unix://{path}"
    process.terminate()
    process.wait(10)


async def test_nothing_is_asked_until_an_evaluation_needs_it_and_then_once(make, clock):
    posthog = PostHog(answer(flag("a")))
    source = make(posthog)
    assert posthog.seen == []
    for _ in range(3):
        definitions = await source.current()
        clock.now += POLL / 4
    assert len(posthog.seen) == 1
    assert definitions.flags.evaluate("a", "u1").value is True
    request = posthog.seen[0]
    assert request.url.path == "/flags/definitions"
    assert dict(request.url.params) == {"token": "phc_public", "send_cohorts": ""}
    assert request.headers["authorization"] == "Bearer phs_secret"


async def test_an_age_is_told_and_the_next_request_comes_with_the_poll_interval(make, clock):
    posthog = PostHog(answer(flag("a")), answer(flag("a", share=0), etag='W/"2"'))
    source = make(posthog)
    await source.current()
    clock.now += POLL - 1
    assert (await source.current()).age(clock.now) == POLL - 1
    clock.now += 1
    definitions = await source.current()
    assert definitions.age(clock.now) == 0
    assert definitions.flags.evaluate("a", "u1").value is False
    assert len(posthog.seen) == 2


async def test_what_did_not_change_is_kept_and_compiled_once(make, clock):
    posthog = PostHog(answer(flag("a")), httpx2.Response(304))
    source = make(posthog)
    first = await source.current()
    clock.now += POLL
    second = await source.current()
    assert posthog.seen[1].headers["if-none-match"] == 'W/"1"'
    assert second.flags is first.flags
    assert second.age(clock.now) == 0


async def test_a_tag_belongs_to_the_body_it_came_with(make, clock):
    untagged = httpx2.Response(200, json={"flags": [flag("b")]})
    posthog = PostHog(answer(flag("a")), untagged, answer(flag("c")))
    source = make(posthog)
    for _ in range(3):
        await source.current()
        clock.now += POLL
    assert "if-none-match" not in posthog.seen[2].headers


async def test_processes_share_one_answer_through_a_file_that_only_its_owner_reads(make, tmp_path):
    posthog = PostHog(answer(flag("a")))
    sources = [make(posthog) for _ in range(4)]
    async with anyio.create_task_group() as tasks:
        for source in sources:
            tasks.start_soon(source.current)
    assert len(posthog.seen) == 1
    [file] = tmp_path.glob("flags-*.json")
    if sys.platform != "win32":
        assert stat.S_IMODE(file.stat().st_mode) == 0o600
    assert "phs_secret" not in file.read_text() + file.name


async def test_one_process_outdates_the_definitions_of_all(make):
    posthog = PostHog(answer(flag("a")), answer(flag("a", share=0), etag='W/"2"'))
    first, second = make(posthog), make(posthog)
    assert (await second.current()).flags.evaluate("a", "u1").value is True
    await first.outdate()
    assert (await second.current()).flags.evaluate("a", "u1").value is False
    assert (await first.current()).flags.evaluate("a", "u1").value is False
    assert len(posthog.seen) == 2


async def test_definitions_of_another_key_or_project_are_not_taken(make):
    posthog = PostHog(answer(flag("a")))
    for keys in ({}, {"project_secret_key": "phs_other"}, {"project_token": "phc_other"}):
        await make(posthog, **keys).current()
    assert len(posthog.seen) == 3


async def test_a_damaged_file_is_replaced(make, tmp_path):
    posthog = PostHog(answer(flag("a")))
    await make(posthog).current()
    [file] = tmp_path.glob("flags-*.json")
    for damaged in ("", "{}", "[]", '{"problem": 1}', file.read_text()[:-20]):
        file.write_text(damaged)
        assert "a" in (await make(posthog).current()).flags
    assert json.loads(file.read_text())["body"]["flags"]


async def test_without_a_directory_each_process_has_its_own(make):
    posthog = PostHog(answer(flag("a")))
    source = make(posthog, None)
    await source.current()
    await source.outdate()
    await source.current()
    assert len(posthog.seen) == 2


async def test_a_directory_that_cannot_be_written_costs_only_the_sharing(make, tmp_path, caplog):
    (tmp_path / "file").write_text("")
    posthog = PostHog(answer(flag("a")))
    assert "a" in (await make(posthog, tmp_path / "file" / "below").current()).flags
    assert "not shared" in caplog.text


@pytest.mark.parametrize(
    "failure",
    [
        httpx2.Response(503),
        httpx2.Response(429, headers={"Retry-After": "40"}),
        httpx2.Response(200, json={"flags": "none"}),
        httpx2.ConnectError("refused"),
    ],
    ids=["503", "429", "no flags", "network"],
)
async def test_the_last_good_definitions_outlive_a_failure_and_say_so(make, clock, failure):
    source = make(posthog := PostHog(answer(flag("a"))))
    await source.current()
    posthog.answers = [failure]
    clock.now += POLL
    definitions = await source.current()
    asked = len(posthog.seen)
    assert definitions.flags.evaluate("a", "u1").value is True
    assert definitions.age(clock.now) == POLL
    assert definitions.problem
    await source.current()
    assert len(posthog.seen) == asked  # not again at once


async def test_pauses_grow_while_posthog_stays_away_and_end_with_the_first_answer(make, clock):
    source = make(posthog := PostHog(httpx2.Response(500)))
    pauses: list[int] = []
    for _ in range(3):
        with pytest.raises(DefinitionsUnavailable):
            await source.current()
        asked, begun = len(posthog.seen), clock.now
        while len(posthog.seen) == asked:
            clock.now += 1
            with pytest.raises(DefinitionsUnavailable):
                await source.current()
        pauses.append(round(clock.now - begun))
    assert pauses == sorted(set(pauses))
    posthog.answers = [answer(flag("a"))]
    clock.now += POLL
    assert not (await source.current()).problem


@pytest.mark.parametrize(
    ("status", "words"),
    [
        (
            401,
            ["project secret key in POSTHOG_PROJECT_SECRET_KEY (401)", "phs_", "phx_", "feature_flag:read"],
        ),
        (
            403,
            ["project secret key in POSTHOG_PROJECT_SECRET_KEY (403)", "phs_", "phx_", "feature_flag:read"],
        ),
        (402, ["over its quota", "billing"]),
    ],
)
async def test_a_refusal_is_an_error_that_names_the_key_even_where_older_definitions_are(
    make, clock, status, words
):
    source = make(posthog := PostHog(answer(flag("a"))))
    await source.current()
    posthog.answers = [httpx2.Response(status, json={"detail": "no"})]
    clock.now += POLL
    for _ in range(2):
        with pytest.raises(DefinitionsUnavailable) as refused:
            await source.current()
    assert refused.value.refused
    assert all(word in str(refused.value) for word in words)
    assert "phs_secret" not in str(refused.value)
    assert len(posthog.seen) == 2  # told again without asking again
    posthog.answers = [answer(flag("a"))]
    clock.now += 60
    assert "a" in (await source.current()).flags


async def test_a_refusal_is_known_to_the_other_processes(make):
    posthog = PostHog(httpx2.Response(401, json={"detail": "no"}))
    for _ in range(2):
        with pytest.raises(DefinitionsUnavailable, match=r"\(401\)"):
            await make(posthog).current()
    assert len(posthog.seen) == 1


@pytest.mark.parametrize(
    "keys",
    [
        {"project_secret_key": "phc_public"},
        {"project_secret_key": "", "personal_api_key": "phc_public"},
        {"project_secret_key": ""},
    ],
)
async def test_a_key_of_the_wrong_kind_is_refused_before_any_request(make, keys):
    posthog = PostHog(answer(flag("a")))
    with pytest.raises(errors.WrongKey, match="POSTHOG_PROJECT_SECRET_KEY"):
        await make(posthog, **keys).current()
    assert posthog.seen == []


def test_a_key_that_is_set_counts_even_if_it_is_wrong_so_that_it_is_told():
    assert not readable(PostHogClient(project_token="phc_a").keys)
    assert not readable(PostHogClient(personal_api_key="pha_oauth").keys)
    assert readable(PostHogClient(personal_api_key="phx_a").keys)
    assert readable(PostHogClient(project_secret_key="phc_a").keys)


async def test_an_older_posthog_is_asked_where_it_keeps_them(make):
    posthog = PostHog(httpx2.Response(404), answer(flag("a")))
    assert "a" in (await make(posthog).current()).flags
    assert posthog.seen[1].url.path == "/api/feature_flag/local_evaluation/"


async def test_a_clock_set_back_does_not_keep_definitions_for_ever(make, clock):
    source = make(posthog := PostHog(answer(flag("a"))))
    await source.current()
    clock.now -= 10 * POLL
    await source.current()
    assert len(posthog.seen) == 2


async def test_machines_share_one_answer_through_redis(make, clock, tmp_path, redis_url):
    posthog = PostHog(answer(flag("a")), answer(flag("a", share=0), etag='W/"2"'))
    machines = [make(posthog, tmp_path / str(number), redis_url) for number in range(4)]
    async with anyio.create_task_group() as tasks:
        for machine in machines:
            tasks.start_soon(machine.current)
    assert len(posthog.seen) == 1
    clock.now += POLL
    for machine in machines:
        assert (await machine.current()).flags.evaluate("a", "u1").value is False
    assert len(posthog.seen) == 2


async def test_a_change_on_one_machine_reaches_the_others_with_their_next_poll(
    make, clock, tmp_path, redis_url
):
    posthog = PostHog(answer(flag("a")), answer(flag("a", share=0), etag='W/"2"'))
    here, there = (make(posthog, tmp_path / name, redis_url) for name in ("here", "there"))
    for machine in (here, there):
        await machine.current()
    clock.now += 1
    await here.outdate()
    assert (await here.current()).flags.evaluate("a", "u1").value is False
    assert (await there.current()).flags.evaluate("a", "u1").value is True
    clock.now += POLL - 1
    assert (await there.current()).flags.evaluate("a", "u1").value is False
    assert len(posthog.seen) == 2


async def test_without_the_redis_that_was_named_each_machine_asks_for_itself(make, tmp_path, caplog):
    posthog = PostHog(answer(flag("a")))
    for name in ("here", "there"):
        machine = make(posthog, tmp_path / name, f"unix://{tmp_path}/nobody.sock")
        assert "a" in (await machine.current()).flags
        await machine.outdate()
        assert "a" in (await machine.current()).flags
    assert len(posthog.seen) == 4
    assert "Redis" in caplog.text
