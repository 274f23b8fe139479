import contextlib
from collections.abc import AsyncIterator, Callable
from typing import Any, Literal

import anyio
import pytest
from mcp import Client
from mcp.types import CallToolRequestParams, CallToolResult, ElicitRequestFormParams, ElicitResult
from pydantic import SecretStr
from redis_server import RedisServer

from posthog_mcp.limits import reach
from posthog_mcp.server.app import App
from posthog_mcp.server.consent import Consent
from posthog_mcp.settings import Settings
from posthog_mcp.tool import AnswerPending, Question, ToolFailure

Make = Callable[..., App]
Mode = Literal["auto", "legacy"]
QUESTION = Question("Delete the flag shop.", "shop")


@pytest.fixture(params=["auto", "legacy"], ids=["modern", "legacy"])
def mode(request: pytest.FixtureRequest) -> Mode:
    return request.param


class Human:
    """Answers what they are asked, and remembers it."""

    def __init__(self) -> None:
        self.asked: list[str] = []
        self.answer = ElicitResult(action="accept", content={"name": "shop"})
        self.thinks = 0.0

    async def __call__(self, _context: Any, params: Any) -> ElicitResult:
        assert isinstance(params, ElicitRequestFormParams)
        self.asked.append(params.message)
        await anyio.sleep(self.thinks)
        return self.answer


@pytest.fixture
def human() -> Human:
    return Human()


@pytest.fixture
async def client(make_app: Make, human: Human, mode: Mode) -> AsyncIterator[Client]:
    app = make_app(access="full", call_seconds="1")
    async with Client(app.server(), mode=mode, elicitation_callback=human) as client:
        yield client


async def said(client: Client) -> str:
    result = await client.call_tool("destroy", {})
    assert isinstance(result, CallToolResult)
    assert result.content[0].type == "text"
    return result.content[0].text


async def test_a_human_who_types_the_name_agrees(client: Client, human: Human) -> None:
    assert await said(client) == "gone"
    assert human.asked == ["Delete the flag shop. This cannot be taken back. Type shop to go on."]


async def test_agreeing_once_is_not_agreeing_twice(client: Client, human: Human) -> None:
    await said(client)
    await said(client)
    assert len(human.asked) == 2


@pytest.mark.parametrize(
    ("answer", "words"),
    [
        (ElicitResult(action="decline"), "did not agree"),
        (ElicitResult(action="cancel"), "did not agree"),
        (ElicitResult(action="accept", content={"name": "Shop"}), "typed another name"),
        (ElicitResult(action="accept", content={}), "typed another name"),
    ],
)
async def test_anything_else_leaves_everything_as_it_is(
    client: Client, human: Human, answer: ElicitResult, words: str
) -> None:
    human.answer = answer
    text = await said(client)
    assert text.startswith("Nothing was done.")
    assert words in text


async def test_a_human_may_think_longer_than_a_call_may_take(client: Client, human: Human) -> None:
    human.thinks = 1.2
    assert await said(client) == "gone"


async def test_a_client_that_cannot_ask_is_refused(make_app: Make, mode: Mode) -> None:
    async with Client(make_app(access="full").server(), mode=mode) as client:
        text = await said(client)
    assert text.startswith("Nothing was done. A person must agree first, and this client cannot ask one")


async def test_a_client_that_cannot_ask_may_go_on_where_the_start_said_so(make_app: Make, mode: Mode) -> None:
    app = make_app(access="full", unattended_deletes="true")
    async with Client(app.server(), mode=mode) as client:
        assert await said(client) == "gone"


async def test_unattended_does_not_mean_unasked(make_app: Make, human: Human, mode: Mode) -> None:
    human.answer = ElicitResult(action="decline")
    app = make_app(access="full", unattended_deletes="true")
    async with Client(app.server(), mode=mode, elicitation_callback=human) as client:
        assert "did not agree" in await said(client)


async def test_unattended_does_not_mean_that_an_answer_counts_whatever_it_was(make_app: Make) -> None:
    app = make_app(access="full", unattended_deletes="true")

    async def made_up(question: Question) -> str | None:
        await app._consent._later(sent("made.9999999999.up"))(question)
        raise AssertionError("it was taken for an answer")

    answer = await app.dispatcher.call("destroy", {}, ask=made_up)
    assert answer.is_error
    assert answer.text.startswith("Nothing was done. The person's answer belongs to another call")


class Clock:
    """A time that stands still until it is moved."""

    def __init__(self) -> None:
        self.seconds = 1_000_000.0

    def __call__(self) -> float:
        return self.seconds


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def consent(settings: Callable[..., Settings], clock: Clock) -> Consent:
    return Consent(settings(personal_api_key="phx_key"), clock)


def sent(state: str | None, **arguments: object) -> CallToolRequestParams:
    """The call as a client sends it again."""
    answers = {"consent": ElicitResult(action="accept", content={"name": "shop"})}
    return CallToolRequestParams(
        name="destroy", arguments=arguments, request_state=state, input_responses=answers if state else None
    )


def state_of(consent: Consent, **arguments: object) -> str:
    state = consent.required(QUESTION, sent(None, **arguments)).request_state
    assert state is not None
    return state


async def answered(
    consent: Consent, params: CallToolRequestParams, question: Question = QUESTION
) -> str | None:
    return await consent._later(params)(question)


async def test_an_answer_is_good_for_the_call_it_was_given_for(consent: Consent) -> None:
    assert await answered(consent, sent(state_of(consent, key=1), key=1)) == "shop"


async def test_an_answer_without_a_state_is_asked_for_anew(consent: Consent) -> None:
    with pytest.raises(AnswerPending):
        await answered(consent, sent(None))


async def test_an_answer_is_good_for_one_use(consent: Consent) -> None:
    state = state_of(consent)
    await answered(consent, sent(state))
    with pytest.raises(ToolFailure, match="used before"):
        await answered(consent, sent(state))


async def test_an_answer_is_good_for_minutes(consent: Consent, clock: Clock) -> None:
    state = state_of(consent)
    clock.seconds += 601
    with pytest.raises(ToolFailure):
        await answered(consent, sent(state))


async def test_an_answer_is_not_good_for_other_arguments_another_object_or_another_tool(
    consent: Consent,
) -> None:
    state = state_of(consent, key=1)
    other_tool = sent(state, key=1).model_copy(update={"name": "send"})
    for params, question in [
        (sent(state, key=2), QUESTION),
        (sent(state, key=1), Question("Delete the flag cart.", "cart")),
        (other_tool, QUESTION),
    ]:
        with pytest.raises(ToolFailure):
            await answered(consent, params, question)


@pytest.mark.parametrize("state", ["", "a", "a.b.c", "a.9999999999.", "nonce.nan.seal", "é.1.é"])
async def test_a_state_made_up_by_a_client_is_refused(consent: Consent, state: str) -> None:
    with pytest.raises((ToolFailure, AnswerPending)):
        await answered(consent, sent(state))


async def test_replicas_with_the_same_key_recognise_each_others_questions(
    consent: Consent, clock: Clock, settings: Callable[..., Settings]
) -> None:
    replica = Consent(settings(personal_api_key="phx_key"), clock)
    assert await answered(replica, sent(state_of(consent))) == "shop"
    stranger = Consent(settings(personal_api_key="phx_other"), clock)
    with pytest.raises(ToolFailure):
        await answered(stranger, sent(state_of(consent)))


@pytest.fixture
async def replicas(
    settings: Callable[..., Settings], own_redis: RedisServer, clock: Clock
) -> AsyncIterator[list[Consent]]:
    """Two servers with one key and one Redis."""
    start = settings(personal_api_key="phx_key", redis_url=SecretStr(own_redis.url))
    made = [Consent(start, clock), Consent(start, clock)]
    yield made
    for consent in made:
        await consent.close()


async def test_with_a_redis_an_answer_is_good_for_one_use_at_all_replicas_together(
    replicas: list[Consent],
) -> None:
    one, other = replicas
    states = [state_of(one), state_of(other)]
    assert await answered(other, sent(states[0])) == "shop"
    assert await answered(one, sent(states[1])) == "shop"
    for state in states:
        for consent in replicas:
            with pytest.raises(ToolFailure, match="used before"):
                await answered(consent, sent(state))


async def test_of_many_uses_at_once_one_counts(replicas: list[Consent]) -> None:
    state, counted = state_of(replicas[0]), []

    async def use(consent: Consent) -> None:
        with contextlib.suppress(ToolFailure):
            counted.append(await answered(consent, sent(state)))

    async with anyio.create_task_group() as tasks:
        for consent in replicas * 5:
            tasks.start_soon(use, consent)
    assert counted == ["shop"]


async def test_while_redis_is_away_nothing_is_done_that_a_person_must_agree_to(
    replicas: list[Consent], own_redis: RedisServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(reach, "RETRY_SECONDS", 0.0)
    one, other = replicas
    state = state_of(one)
    await answered(other, sent(state_of(one)))
    own_redis.stop()
    for consent in replicas:
        with pytest.raises(ToolFailure, match="cannot be told, since Redis cannot be reached"):
            await answered(consent, sent(state))
    own_redis.start()
    assert await answered(other, sent(state)) == "shop"
