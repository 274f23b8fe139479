"""What a server did, counted in the form that Prometheus reads: tools and outcomes, never a value."""

from __future__ import annotations

from bisect import bisect_left
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from posthog_mcp import __version__

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from starlette.requests import Request
    from starlette.responses import Response
    from starlette.routing import Route

    from posthog_mcp.outbox import Status

_CONTENT_TYPE = "text/plain; version=0.0.4; charset=utf-8"
_SECONDS = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 25.0, 45.0)


@dataclass(slots=True)
class _Times:
    """How long the calls of one tool took: how many in each bucket, the last for longer ones, and the sum."""

    counts: list[int] = field(default_factory=lambda: [0] * (len(_SECONDS) + 1))
    total: float = 0.0


@dataclass(slots=True)
class Metrics:
    """Counts since the start of the process.

    Attributes:
        running: Calls under way.
    """

    running: int = 0
    _calls: dict[tuple[str, str], int] = field(default_factory=dict[tuple[str, str], int])
    _times: dict[str, _Times] = field(default_factory=dict[str, _Times])

    def count(self, tool: str, outcome: str, seconds: float) -> None:
        """Count a call that has ended.

        Args:
            tool: The tool's name as the catalogue knows it.
            outcome: `ok`, `error`, `refused`, `asked` or `cancelled`.
            seconds: How long it took.
        """
        self._calls[tool, outcome] = self._calls.get((tool, outcome), 0) + 1
        times = self._times.setdefault(tool, _Times())
        times.counts[bisect_left(_SECONDS, seconds)] += 1
        times.total += seconds

    def text(self, outbox: Status | None) -> str:
        """All of it in Prometheus's text format.

        Args:
            outbox: What waits to be sent; None where no call has needed the outbox yet.
        """
        return "\n".join([*self._lines(outbox), ""])

    def _lines(self, outbox: Status | None) -> Iterator[str]:
        yield from _head("info", "gauge", "The version that runs.")
        yield f'posthog_mcp_info{{version="{__version__}"}} 1'
        yield from _head("calls_running", "gauge", "Calls of tools under way.")
        yield f"posthog_mcp_calls_running {self.running}"
        yield from _head("calls_total", "counter", "Calls of tools that have ended, by tool and outcome.")
        for (tool, outcome), count in sorted(self._calls.items()):
            yield f'posthog_mcp_calls_total{{tool="{tool}",outcome="{outcome}"}} {count}'
        yield from _head("call_seconds", "histogram", "How long calls of tools took, waits included.")
        for tool, times in sorted(self._times.items()):
            yield from _histogram(tool, times)
        if outbox is not None:
            yield from _head("outbox_events", "gauge", "Events that wait to be sent, or that failed.")
            yield f'posthog_mcp_outbox_events{{state="waiting"}} {outbox.events}'
            yield f'posthog_mcp_outbox_events{{state="failed"}} {outbox.dead}'


def route(text: Callable[[], str]) -> Route:
    """The page `/metrics`.

    Args:
        text: Gives what it says.
    """
    # A start over stdio counts too, and has no use for a web framework's routes.
    from starlette.responses import Response  # noqa: PLC0415
    from starlette.routing import Route  # noqa: PLC0415

    async def page(request: Request) -> Response:
        del request
        return Response(text(), headers={"Content-Type": _CONTENT_TYPE})

    return Route("/metrics", page)


def _head(name: str, kind: str, about: str) -> Iterator[str]:
    yield f"# HELP posthog_mcp_{name} {about}"
    yield f"# TYPE posthog_mcp_{name} {kind}"


def _histogram(tool: str, times: _Times) -> Iterator[str]:
    name, count = "posthog_mcp_call_seconds", 0
    for bound, more in zip((*map(str, _SECONDS), "+Inf"), times.counts, strict=True):
        count += more
        yield f'{name}_bucket{{tool="{tool}",le="{bound}"}} {count}'
    yield f'{name}_sum{{tool="{tool}"}} {times.total:.6f}'
    yield f'{name}_count{{tool="{tool}"}} {count}'
