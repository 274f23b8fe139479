"""An application that uses PostHog's own Python SDK, unmodified; prints what it was told as JSON."""

import json
import os
import sys
from typing import Any

from posthog import Posthog


def application(name: str, capture_mode: str) -> dict[str, Any]:
    options = {"capture_mode": capture_mode} if capture_mode else {}
    client = Posthog(os.environ["POSTHOG_API_KEY"], host=os.environ["POSTHOG_HOST"], **options)
    known, visitor = f"{name}-known", f"{name}-visitor"
    client.capture("page seen", distinct_id=visitor, properties={"path": "/a"})
    merging = {"$anon_distinct_id": visitor, "$set": {"plan": "pro"}}
    client.capture("$identify", distinct_id=known, properties=merging)
    client.set(distinct_id=known, properties={"city": "Paris"})
    client.set_once(distinct_id=known, properties={"city": "Rome", "first": "yes"})
    client.alias(previous_id=known, distinct_id=f"{name}-alias")
    client.group_identify("company", f"{name}-acme", {"seats": 12})
    client.capture(
        "order placed", distinct_id=known, properties={"total": 42.5}, groups={"company": f"{name}-acme"}
    )
    try:
        raise ValueError("bad total")  # noqa: TRY301 - what the application does
    except ValueError as error:
        client.capture_exception(error, distinct_id=known)
    client.flush()
    told: dict[str, Any] = {
        "remote": client.get_feature_flag(f"{name}-flag", known),
        "payload": client.get_feature_flag_payload(f"{name}-flag", known),
        "all": client.get_all_flags(known),
    }
    client.shutdown()
    return told | _locally(name, known)


def _locally(name: str, known: str) -> dict[str, Any]:
    client = Posthog(
        os.environ["POSTHOG_API_KEY"],
        host=os.environ["POSTHOG_HOST"],
        personal_api_key=os.environ["POSTHOG_PERSONAL_API_KEY"],
    )
    client.load_feature_flags()
    told = {
        plan: client.get_feature_flag(
            f"{name}-flag", known, person_properties={"plan": plan}, only_evaluate_locally=True
        )
        for plan in ("pro", "free")
    }
    told["config"] = client.get_remote_config_payload(f"{name}-config")
    client.shutdown()
    return told


if __name__ == "__main__":
    print(json.dumps(application(sys.argv[1], sys.argv[2] if len(sys.argv) > 2 else "")))
