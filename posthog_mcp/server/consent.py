"""How the human is asked over MCP: typing the name of what is to go.

The older protocol asks while the call runs. The newer one answers the call with the question, and the client
sends the call again with what was typed, along with a state that only this server can have made: bound to the
tool and its arguments, valid for minutes, good for one use.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
import secrets
import time
from typing import TYPE_CHECKING, Any

from mcp.types import (
    ElicitRequest,
    ElicitRequestFormParams,
    ElicitResult,
    InputRequiredResult,
)
from mcp.types.version import MODERN_PROTOCOL_VERSIONS

from posthog_mcp.server.nonces import Nonces
from posthog_mcp.tool import AnswerPending, ToolFailure

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Mapping

    from mcp.server import ServerRequestContext
    from mcp.types import CallToolRequestParams, ElicitRequestedSchema

    from posthog_mcp.settings import Settings
    from posthog_mcp.tool import Question

_KEY = "consent"
_FIELD = "name"
_VALID_SECONDS = 600


class Consent:
    """Asks, and recognises the answers to what it asked.

    Args:
        settings: The start; replicas with the same personal key recognise each other's questions, and with
            the same Redis count an answer once.
        now: The time in seconds.
    """

    def __init__(self, settings: Settings, now: Callable[[], float] = time.time) -> None:
        held = settings.personal_api_key
        material = held.get_secret_value().encode() if held else secrets.token_bytes(32)
        self._sealing = hmac.digest(material, b"posthog-mcp consent", "sha256")
        self._now = now
        self._nonces = Nonces(settings.redis_url.get_secret_value() if settings.redis_url else "", now)

    def asker(
        self, context: ServerRequestContext[Any], params: CallToolRequestParams
    ) -> Callable[[Question], Awaitable[str | None]] | None:
        """How the human behind this request is asked; None where they cannot be."""
        declared = context.session.client_capabilities
        elicitation = declared.elicitation if declared else None
        if elicitation is None or (elicitation.form is None and elicitation.url is not None):
            return None
        if context.protocol_version in MODERN_PROTOCOL_VERSIONS:
            return self._later(params)
        if not context.session.can_send_request:
            return None

        async def at_once(question: Question) -> str | None:
            answer = await context.session.elicit_form(
                str(question), _form(question), related_request_id=context.request_id
            )
            return _typed(answer)

        return at_once

    def required(self, question: Question, params: CallToolRequestParams) -> InputRequiredResult:
        """The answer to a call of the newer protocol that has to wait for the human."""
        form = ElicitRequestFormParams(message=str(question), requested_schema=_form(question))
        return InputRequiredResult(
            input_requests={_KEY: ElicitRequest(params=form)},
            request_state=self._sealed(question.name, params.name, params.arguments or {}),
        )

    async def close(self) -> None:
        """Let go of what is held open."""
        await self._nonces.close()

    def _later(self, params: CallToolRequestParams) -> Callable[[Question], Awaitable[str | None]]:
        async def ask(question: Question) -> str | None:
            answer = (params.input_responses or {}).get(_KEY)
            if params.request_state is None or not isinstance(answer, ElicitResult):
                raise AnswerPending(question)
            await self._use(params.request_state, question.name, params.name, params.arguments or {})
            return _typed(answer)

        return ask

    def _sealed(self, name: str, tool: str, arguments: Mapping[str, Any]) -> str:
        expires = int(self._now()) + _VALID_SECONDS
        body = f"{secrets.token_urlsafe(12)}.{expires}"
        return f"{body}.{self._seal(body, name, tool, arguments)}"

    def _seal(self, body: str, name: str, tool: str, arguments: Mapping[str, Any]) -> str:
        about = json.dumps([body, name, tool, arguments], sort_keys=True).encode()
        return base64.urlsafe_b64encode(hmac.digest(self._sealing, about, hashlib.sha256)).decode()

    async def _use(self, state: str, name: str, tool: str, arguments: Mapping[str, Any]) -> None:
        body, _, seal = state.rpartition(".")
        nonce, _, expires = body.partition(".")
        genuine = hmac.compare_digest(seal.encode(), self._seal(body, name, tool, arguments).encode())
        if (
            not genuine
            or float(expires) < self._now()
            or not await self._nonces.first_use(nonce, float(expires))
        ):
            raise ToolFailure(
                "Nothing was done.",
                "The person's answer belongs to another call, is older than ten minutes, or was used before.",
                "Call it again without an answer, so that they are asked anew.",
            )


def _form(question: Question) -> ElicitRequestedSchema:
    return {
        "type": "object",
        "properties": {_FIELD: {"type": "string", "title": f"Type {question.name} to go on"}},
        "required": [_FIELD],
    }


def _typed(answer: ElicitResult) -> str | None:
    if answer.action != "accept":
        return None
    return str((answer.content or {}).get(_FIELD, ""))
