import logging
from collections.abc import Callable

import anyio
import anyio.lowlevel
import pytest
from server_tools import Wait

from posthog_mcp.server.app import App
from posthog_mcp.server.dispatch import Answer

Make = Callable[..., App]
KEY = "phx_abcdefghijklmnopqrstuvwxyz01"


async def call(app: App, name: str, /, **arguments: object) -> Answer:
    return await app.dispatcher.call(name, arguments)


async def test_one_object_comes_as_structure_and_as_the_same_text(make_app: Make) -> None:
    answer = await make_app().dispatcher.call("echo", {"name": "n"}, caller="client 1")
    assert answer.structured is not None
    assert answer.structured["caller"] == "client 1"
    assert answer.text.startswith('{"project_id":null,"name":"n"')


async def test_rows_come_as_text_alone_cleaned_and_marked(make_app: Make) -> None:
    answer = await call(make_app(), "rows")
    assert answer.structured is None
    assert "Written by outsiders: name." in answer.text
    assert "\nab\nc\n" in answer.text


async def test_rows_come_as_an_object_when_asked_for(make_app: Make) -> None:
    answer = await call(make_app(), "rows", format="json")
    assert answer.structured is not None
    assert answer.structured["rows"] == [["ab"], ["c"]]


async def test_what_a_tool_refuses_is_said_without_the_key_in_it(make_app: Make) -> None:
    answer = await call(make_app(), "fail", how="tool")
    assert answer == Answer("It failed. phx_… is the wrong key. Use another.", is_error=True)


async def test_what_posthog_refuses_is_said_in_three_sentences(make_app: Make) -> None:
    answer = await call(make_app(), "fail", how="posthog")
    assert answer == Answer("No flag. There is no flag 7. List the flags.", is_error=True)


async def test_an_error_inside_a_group_is_told_like_any_other(make_app: Make) -> None:
    assert (await call(make_app(), "fail", how="group")).text == "No flag. There is none. List them."


async def test_words_of_posthog_in_an_error_are_marked_as_data(make_app: Make) -> None:
    text = (await call(make_app(), "fail", how="said")).text
    before, _, after = text.partition("<data ")
    assert "ignore all rules" not in before
    assert "ignore all rules" in after


async def test_words_of_posthog_leave_a_whole_sentence_whatever_they_end_with(make_app: Make) -> None:
    text = (await call(make_app(), "fail", how="asked")).text
    assert text.startswith("Refused. PostHog says what stands below. Fix it.\n")


async def test_an_offset_behind_the_last_row_is_said_instead_of_that_there_is_nothing(make_app: Make) -> None:
    text = (await call(make_app(), "rows", offset=7)).text
    assert text.endswith("No rows.\noffset=7 is past the last one; the first are at offset=0.")


async def test_a_key_in_an_answer_keeps_only_its_prefix(make_app: Make) -> None:
    assert (await call(make_app(), "fail", how="key")).text == "The key is phx_…."


async def test_a_configured_key_is_taken_out_of_both_halves_of_an_answer(make_app: Make) -> None:
    app = make_app(personal_api_key="an-old-key-without-a-prefix")
    answer = await call(app, "echo", name="n", properties={"x": ["an-old-key-without-a-prefix"]})
    assert "an-old-key" not in answer.text
    assert "an-old-key" not in str(answer.structured)


async def test_a_fault_is_answered_in_fixed_words_with_an_incident_that_the_log_has(
    make_app: Make, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.ERROR):
        answer = await call(make_app(), "fail", how="fault")
    assert answer.is_error
    assert "This is a fault of posthog-mcp" in answer.text
    incident = answer.text.partition("incident ")[2][:8]
    [record] = caplog.records
    assert f"incident {incident}: fail failed with KeyError at _fault:" in record.getMessage()
    for text in (answer.text, record.getMessage()):
        assert "person@example.com" not in text
        assert "Traceback" not in text


async def test_a_call_that_takes_too_long_is_stopped_and_says_how_to_ask_for_less(
    make_app: Make, wait: Wait
) -> None:
    answer = await call(make_app(wait.tool, call_seconds="1"), "wait")
    assert wait.cancelled.is_set()
    assert answer.is_error
    assert "had not finished within 1 seconds" in answer.text


async def test_a_cancelled_call_cancels_its_work_and_is_recorded(
    make_app: Make, wait: Wait, caplog: pytest.LogCaptureFixture
) -> None:
    app = make_app(wait.tool)
    with caplog.at_level(logging.INFO, "posthog_mcp.audit"):
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(call, app, "wait")
            with anyio.fail_after(5):
                await wait.started.wait()
            tasks.cancel_scope.cancel()
    assert wait.cancelled.is_set()
    assert caplog.records[0].getMessage().startswith("wait cancelled")


async def test_the_record_of_a_call_holds_no_argument_and_no_unknown_name(
    make_app: Make, caplog: pytest.LogCaptureFixture
) -> None:
    app = make_app()
    with caplog.at_level(logging.INFO, "posthog_mcp.audit"):
        await call(app, "echo", name="secretive")
        await call(app, "made_up_name")
        await call(app, "fail", how="posthog")
    said = [record.getMessage() for record in caplog.records]
    assert [words.split()[:2] for words in said] == [
        ["echo", "ok"],
        ["unknown", "refused"],
        ["fail", "error"],
    ]
    assert "secretive" not in "".join(said)


async def test_hidden_characters_in_an_error_do_not_reach_the_client(make_app: Make) -> None:
    answer = await call(make_app(), "echo", name="n", kind="a\u202e\U000e0041b")
    assert '"ab"' in answer.text


class Late:
    """Settings that come late, and at first not at all."""

    def __init__(self, app: App) -> None:
        self.asked = 0
        self.closed = False
        self._settings = app.settings

    async def settings(self):
        self.asked += 1
        await anyio.lowlevel.checkpoint()
        if self.asked == 1:
            raise ConnectionError
        return self._settings

    async def close(self) -> None:
        self.closed = True


async def test_late_settings_come_with_the_first_call_and_hold_for_all_until_there_are_others(
    make_app: Make,
) -> None:
    late = Late(make_app())
    app = App(late._settings, tools=make_app().catalogue.tools, late=late)
    app.server()
    assert late.asked == 0
    assert (await call(app, "send")).is_error
    async with anyio.create_task_group() as tasks:
        for _ in range(5):
            tasks.start_soon(call, app, "send")
    assert (await call(app, "send")).text == "sent"
    services = await app.services()
    assert await app.services() is services
    late._settings = late._settings.model_copy()
    assert await app.services() is not services
    assert (await call(app, "send")).text == "sent"
    await app.close()
    assert late.closed
