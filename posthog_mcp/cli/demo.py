"""`demo`: the main job end to end, as an agent's client would do it.

A real MCP client starts this program as a process, with the embedded PostHog behind it, and speaks to it over
a pipe. Each step prints the call and the answer; a step whose answer is not what it should be ends the demo
with a reason and a code other than 0.
"""

import argparse
import json
import sys
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

import anyio
from mcp import Client, StdioServerParameters
from mcp.types import CallToolResult, TextContent

if TYPE_CHECKING:
    from rich.console import Console

_PERSON, _ANONYMOUS = "ada@example.com", "visitor-7"
_FLAG = "new-checkout"

# The email is max(): the visits before she signed up are hers, but did not know it yet.
_WHO_PAID = """SELECT max(person.properties.email) AS who, countIf(event = 'checkout viewed') AS views,
  countIf(event = 'order placed') AS orders, sum(toFloat(properties.total)) AS paid
FROM events
WHERE timestamp > now() - INTERVAL 1 DAY AND person_id IN (
  SELECT person_id FROM events WHERE event = {paying} AND timestamp > now() - INTERVAL 1 DAY)
GROUP BY person_id ORDER BY views DESC LIMIT 10"""


@dataclass(frozen=True)
class Step:
    """One call of the story.

    Attributes:
        says: What happens, in a sentence.
        tool: The tool to call.
        arguments: What to call it with.
        expects: What the answer must say; otherwise the demo has failed.
    """

    says: str
    tool: str
    arguments: dict[str, Any]
    expects: Callable[[str], bool]


def add_parser(subparsers: Any) -> None:
    """Add the command."""
    parser = subparsers.add_parser("demo", help="show the main job end to end, against the embedded PostHog")
    parser.set_defaults(run=run)


def run(args: argparse.Namespace) -> int:
    """0 when every step came out as it should, 1 with the reason on stderr, 3 where a package is missing."""
    del args
    try:
        from rich.console import Console  # noqa: PLC0415 - the extra may not be there
    except ImportError:
        print('The demo needs the sandbox extra: pip install "posthog-mcp[sandbox]"', file=sys.stderr)
        return 3
    failures: list[str] = []
    try:
        anyio.run(_demo, Console(highlight=False, markup=False, soft_wrap=True), failures)
    except Exception as error:  # noqa: BLE001 - whatever it is, a newcomer should read it as a sentence
        failures.append(f"the server did not answer ({type(error).__name__}: {error})")
    if failures:
        print(f"The demo failed: {failures[0]}.", file=sys.stderr)
    return 1 if failures else 0


async def _demo(console: "Console", failures: list[str]) -> None:
    console.print("posthog-mcp demo", style="bold", end="")
    console.print(": an MCP client, this server over a pipe, an embedded PostHog.\n")
    server = StdioServerParameters(
        command=sys.executable, args=["-P", "-m", "posthog_mcp", "serve", "--sandbox"]
    )
    async with Client(server) as client:
        listed = await client.list_tools()
        console.print(f"Connected with protocol {client.protocol_version}; {len(listed.tools)} tools.\n")
        for number, step in enumerate(story(datetime.now(UTC)), start=1):
            if not await _show(console, client, number, step):
                failures.append(f"step {number} ({step.tool}) did not come out as expected")
                return
    console.print("Done.", style="bold green", end="")
    console.print(" Everything above went through PostHog's own HTTP API.")
    console.print(
        "Next: add the server to your client (README.md), or try `posthog-mcp sandbox --seed small`."
    )


def story(now: datetime) -> list[Step]:
    """The calls, in order."""
    return [
        Step(
            "Somebody looks at the checkout three times before we know who it is.",
            "capture_events",
            {
                "events": [_viewed(now - timedelta(minutes=ago)) for ago in (9, 6, 3)],
                "wait": True,
            },
            lambda answer: '"delivered":3' in answer,
        ),
        Step(
            "She signs up: the visitor and Ada are one person from now on.",
            "identify_person",
            {
                "distinct_id": _PERSON,
                "anonymous_id": _ANONYMOUS,
                "properties": {"email": _PERSON, "plan": "pro"},
                "wait": True,
            },
            lambda answer: '"delivered":1' in answer,
        ),
        Step(
            "A new checkout is built. A flag gives it to people on the pro plan, in two variants.",
            "create_flag",
            {
                "key": _FLAG,
                "description": "The new checkout",
                "conditions": [{"property": "plan", "operator": "exact", "value": "pro", "on": "person"}],
                "variants": [
                    {"key": "control", "rollout_percentage": 50},
                    {"key": "one-page", "rollout_percentage": 50},
                ],
                "payloads": {"control": {"steps": 3}, "one-page": {"steps": 1}},
            },
            lambda answer: f'"key":"{_FLAG}"' in answer,
        ),
        Step(
            "What does Ada get? PostHog knows her plan since she was identified.",
            "evaluate_flags",
            {"distinct_id": _PERSON, "flags": [_FLAG]},
            lambda answer: "Matched condition set 1" in answer and "steps" in answer,
        ),
        Step(
            "The release is marked on the project's charts.",
            "create_annotation",
            {"content": "New checkout for pro plans"},
            lambda answer: '"id":' in answer,
        ),
        Step(
            "Ada pays.",
            "capture_event",
            {
                "event": "order placed",
                "distinct_id": _PERSON,
                "properties": {"total": 42.5, "currency": "EUR"},
                "wait": True,
            },
            lambda answer: '"delivered":1' in answer,
        ),
        Step(
            "Who came from looking to paying? The visits before she signed up count as hers.",
            "query_hogql",
            {
                "query": _WHO_PAID,
                "values": {"paying": "order placed"},
            },
            lambda answer: "42.5" in answer,
        ),
        Step(
            "And the notes beside the charts.",
            "list_annotations",
            {"date_from": "-1d"},
            lambda answer: "New checkout for pro plans" in answer,
        ),
    ]


def _viewed(moment: datetime) -> dict[str, Any]:
    return {
        "event": "checkout viewed",
        "distinct_id": _ANONYMOUS,
        "timestamp": moment.isoformat(timespec="seconds"),
        "properties": {"$current_url": "https://shop.example.com/checkout", "items": 2},
    }


async def _show(console: "Console", client: Client, number: int, step: Step) -> bool:
    """Print the call and the answer; whether the answer is what it should be."""
    console.print(f"{number}. {step.says}", style="bold")
    console.print(f"-> {step.tool} {json.dumps(step.arguments, ensure_ascii=False)}", style="cyan")
    answer = await client.call_tool(step.tool, step.arguments, read_timeout_seconds=60)
    text = _text(answer)
    console.print(f"{text}\n", style="dim")
    return not answer.is_error and step.expects(text)


def _text(answer: CallToolResult) -> str:
    return "\n".join(block.text for block in answer.content if isinstance(block, TextContent))
