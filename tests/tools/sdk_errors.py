"""An application whose exceptions PostHog's own Python SDK reports, with the flags of the person."""

import os
import sys

from posthog import Posthog


def pay(total: int) -> None:
    raise ValueError(f"bad total {total}")


def application(person: str) -> None:
    client = Posthog(os.environ["POSTHOG_API_KEY"], host=os.environ["POSTHOG_HOST"])
    try:
        pay(7)
    except ValueError as error:
        properties = {"$exception_fingerprint": person, "$feature/checkout": "test"}
        client.capture_exception(error, distinct_id=person, properties=properties)
    client.shutdown()


if __name__ == "__main__":
    application(sys.argv[1])
