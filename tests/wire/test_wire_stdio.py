import json
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Literal

import pytest
from mcp import Client, StdioServerParameters
from mcp.client.stdio import stdio_client
from wire_program import PROGRAM, SECONDS, Program, Silence, call, request

Start = Callable[..., Program]
posix = pytest.mark.skipif(sys.platform == "win32", reason="signals of POSIX")


@pytest.fixture
def busy(start: Start, silence: Silence) -> Program:
    """A program with four calls in flight."""
    program = start(POSTHOG_HOST=silence.url, POSTHOG_PERSONAL_API_KEY="phx_test").shake_hands()
    program.send(*[call(number, "list_projects") for number in range(1, 5)])
    for _ in range(4):
        assert silence.arrived.acquire(timeout=SECONDS)
    return program


@pytest.mark.parametrize("mode", ["auto", "legacy"])
async def test_the_sdk_client_lists_and_calls_in_both_eras(
    mode: Literal["auto", "legacy"], tmp_path: Path
) -> None:
    parameters = StdioServerParameters(command=PROGRAM, env={"POSTHOG_MCP_DATA_DIR": str(tmp_path)}, cwd="/")
    async with Client(stdio_client(parameters), mode=mode) as client:
        assert client.server_info is not None
        assert client.server_info.name == "posthog"
        assert "get_status" in [tool.name for tool in (await client.list_tools()).tools]
        result = await client.call_tool("get_status", {})
        assert not result.is_error
        assert result.structured_content is not None
        assert result.structured_content["access"] == "write"


def test_requests_of_the_modern_era_need_no_handshake(start: Start) -> None:
    program = start()
    program.send(request(1, "server/discover", modern=True), call(2, "get_status", modern=True))
    assert "2026-07-28" in program.answer(1)["result"]["supportedVersions"]
    assert program.answer(2)["result"]["structuredContent"]["access"] == "write"


def test_lines_that_are_no_messages_are_answered_and_the_connection_goes_on(start: Start) -> None:
    program = start().shake_hands()
    program.send(b"nope\n", b'{"id": 8}\n', b"\n", b"[]\n")
    answers = [program.receive() for _ in range(3)]
    assert [(answer["id"], answer["error"]["code"]) for answer in answers] == [
        (None, -32700),
        (8, -32600),
        (None, -32600),
    ]
    program.send(request(9, "tools/list"))
    assert program.answer(9)["result"]["tools"]


def test_a_line_of_ten_megabytes_is_refused_with_its_id_and_the_connection_goes_on(start: Start) -> None:
    program = start().shake_hands()
    program.send(call(5, "get_status", filler="x" * 10_000_000), request(6, "tools/list"))
    assert program.answer(5)["error"] == {"code": -32600, "message": "The line is longer than 4 MiB."}
    assert program.answer(6)["result"]["tools"]


def test_a_line_just_below_the_limit_is_taken(start: Start) -> None:
    program = start().shake_hands()
    program.send(call(5, "get_status", filler="x" * (4 * 2**20 - 1_000)))
    assert "`filler` is not an argument" in program.answer(5)["result"]["content"][0]["text"]


def test_more_calls_than_run_at_once_are_all_answered(start: Start) -> None:
    program = start().shake_hands()
    program.send(*[call(number, "get_status") for number in range(1, 301)])
    numbers = {program.receive()["id"] for _ in range(300)}
    assert numbers == set(range(1, 301))


def test_what_was_asked_before_the_end_of_input_is_still_answered(start: Start) -> None:
    program = start()
    program.send(call(1, "get_status", modern=True))
    program.close_input()
    assert program.answer(1)["result"]["structuredContent"]
    assert program.wait()[0] == 0


def test_the_end_of_input_ends_an_idle_program_at_once(start: Start) -> None:
    program = start().shake_hands()
    program.close_input()
    code, seconds = program.wait()
    assert code == 0
    assert seconds < 0.5
    assert program.said() == ""


def test_the_end_of_input_before_anything_was_said_ends_it_too(start: Start) -> None:
    program = start()
    program.close_input()
    assert program.wait()[0] == 0


def test_the_end_of_input_ends_a_program_with_calls_in_flight(busy: Program) -> None:
    busy.close_input()
    code, seconds = busy.wait()
    assert code == 0
    assert seconds < 1


@posix
@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_ends_an_idle_program_with_code_0(start: Start, number: signal.Signals) -> None:
    program = start().shake_hands()
    program.process.send_signal(number)
    code, seconds = program.wait()
    assert code == 0
    assert seconds < 0.5
    assert program.said() == ""


@posix
@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_ends_a_program_with_calls_in_flight(busy: Program, number: signal.Signals) -> None:
    busy.process.send_signal(number)
    code, seconds = busy.wait()
    assert code == 0
    assert seconds < 1


@posix
def test_an_impatient_host_that_sends_sigint_and_then_sigterm_sees_code_0(busy: Program) -> None:
    busy.process.send_signal(signal.SIGINT)
    for _ in range(20):
        busy.process.send_signal(signal.SIGTERM)
    assert busy.wait()[0] == 0


@posix
@pytest.mark.parametrize("requests", [60, 1_000])
@pytest.mark.parametrize("end", ["input", signal.SIGTERM, signal.SIGINT])
def test_a_client_that_reads_no_more_does_not_keep_the_program(
    start: Start, end: str | signal.Signals, requests: int
) -> None:
    program = start().shake_hands()
    program.stop_reading()
    program.send(*[request(number, "tools/list") for number in range(requests)])
    if isinstance(end, str):
        program.close_input()
    else:
        program.process.send_signal(end)
    code, seconds = program.wait()
    assert code == 0
    assert seconds < 1.5


def test_a_cancelled_call_lets_go_of_posthog_and_is_not_answered(start: Start, silence: Silence) -> None:
    program = start(POSTHOG_HOST=silence.url, POSTHOG_PERSONAL_API_KEY="phx_test").shake_hands()
    program.send(call(1, "list_projects"))
    assert silence.arrived.acquire(timeout=SECONDS)
    program.send({"jsonrpc": "2.0", "method": "notifications/cancelled", "params": {"requestId": 1}})
    assert silence.left.acquire(timeout=SECONDS)
    program.send(request(2, "tools/list"))
    assert program.receive()["id"] == 2


def test_a_call_ends_within_its_time_when_posthog_does_not_answer(start: Start, silence: Silence) -> None:
    program = start(
        POSTHOG_HOST=silence.url, POSTHOG_PERSONAL_API_KEY="phx_test", POSTHOG_MCP_CALL_SECONDS="1"
    ).shake_hands()
    program.send(call(1, "list_projects"))
    result = program.answer(1)["result"]
    assert result["isError"]
    assert result["content"][0]["text"]


def test_two_copies_live_side_by_side(start: Start) -> None:
    one, two = start().shake_hands(), start().shake_hands()
    one.close_input()
    assert one.wait()[0] == 0
    two.send(call(1, "get_status"))
    assert two.answer(1)["result"]["structuredContent"]


@pytest.mark.parametrize("value", ["", "  ", "${user_config.key}"])
def test_settings_nobody_filled_in_count_as_unset(start: Start, value: str) -> None:
    program = start(
        POSTHOG_API_KEY=value,
        POSTHOG_PERSONAL_API_KEY=value,
        POSTHOG_HOST=value,
        POSTHOG_PROJECT_ID=value,
        POSTHOG_MCP_ACCESS=value,
        POSTHOG_MCP_AREAS=value,
        POSTHOG_MCP_REDIS_URL=value,
    ).shake_hands()
    program.send(call(1, "get_status"))
    status = program.answer(1)["result"]["structuredContent"]
    assert status["keys"] == dict.fromkeys(["project_token", "personal_key", "project_secret_key"], "not set")
    assert status["host"]["private"] == "https://us.posthog.com"


@pytest.mark.parametrize(
    ("key", "words"),
    [
        ("", "POSTHOG_PERSONAL_API_KEY is not set."),
        ("phc_0123456789abcdef", "POSTHOG_PERSONAL_API_KEY holds a project token (phc_…)"),
    ],
)
def test_a_missing_or_wrong_key_is_told_at_the_call_that_needs_it(start: Start, key: str, words: str) -> None:
    program = start(POSTHOG_PERSONAL_API_KEY=key).shake_hands()
    program.send(request(1, "tools/list"), call(2, "list_projects"))
    assert program.answer(1)["result"]["tools"]
    result = program.answer(2)["result"]
    assert result["isError"]
    assert words in result["content"][0]["text"]
    assert "/settings/user-api-keys" in result["content"][0]["text"]


@pytest.mark.parametrize(
    ("arguments", "environment", "words"),
    [
        (["--acces", "read"], {}, "--acces"),
        (["serve", "--areas", "flag"], {}, "did you mean flags?"),
        (["--access", "readonly"], {}, "readonly"),
        ([], {"POSTHOG_MCP_ACESS": "read"}, "did you mean POSTHOG_MCP_ACCESS?"),
        ([], {"POSTHOG_MCP_TOOLS": "-get_stats"}, "did you mean `get_status`?"),
        (["--data", "/tmp/x"], {}, "--sandbox"),  # noqa: S108 - never touched
        (["nonsense"], {}, "nonsense"),
    ],
)
def test_a_start_that_cannot_be_meant_stops_with_code_2_and_says_why(
    start: Start, arguments: list[str], environment: dict[str, str], words: str
) -> None:
    program = start(*arguments, **environment)
    assert program.wait()[0] == 2
    said = program.said()
    assert words in said
    assert "Traceback" not in said


def test_nothing_but_the_protocol_is_written_to_standard_output(start: Start) -> None:
    program = start(
        POSTHOG_MCP_LOG_LEVEL="debug", POSTHOG_PERSONAL_API_KEY="phx_secret_canary_0123456789"
    ).shake_hands()
    program.send(call(1, "get_status", wrong=1), call(2, "nope"), b"noise\n", request(3, "tools/list"))
    program.answer(3)
    program.close_input()
    assert program.wait()[0] == 0
    while line := program.lines.get(timeout=SECONDS):
        assert json.loads(line)["jsonrpc"] == "2.0"
    assert "phx_secret_canary" not in program.said()


def test_a_start_needs_no_writable_directory_and_writes_no_file(tmp_path: Path) -> None:
    done = subprocess.run(
        [PROGRAM],
        input=b"",
        capture_output=True,
        cwd="/",
        timeout=SECONDS,
        check=False,
        env={"HOME": str(tmp_path)},
    )
    assert done.returncode == 0
    assert list(tmp_path.iterdir()) == []
