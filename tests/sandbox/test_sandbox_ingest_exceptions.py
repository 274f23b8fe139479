"""Exceptions get their kinds, places, fingerprint and issue at ingestion."""

from typing import Any

import pytest

from posthog_mcp.sandbox.ingest.exceptions import automatic_fingerprint, describe_exception

CHECKOUT = {
    "platform": "python",
    "filename": "shop/cart.py",
    "module": "shop.cart",
    "function": "checkout",
    "in_app": True,
}
LIBRARY = {"platform": "python", "filename": "requests/api.py", "function": "get", "in_app": False}


def error(value: str = "bad total", *frames: dict[str, Any], **more: Any) -> dict[str, Any]:
    stack = {"stacktrace": {"type": "raw", "frames": list(frames)}} if frames else {}
    return {"type": "ValueError", "value": value, **stack, **more}


def described(*exceptions: dict[str, Any], **more: Any) -> dict[str, Any]:
    properties = {"$exception_list": list(exceptions), **more}
    describe_exception(properties, 1)
    return properties


def test_the_fingerprint_is_posthogs_own():
    # sha512 of kind and place, or of kind and message where there is no stack
    assert automatic_fingerprint([error("x", CHECKOUT)]).startswith("70cbbd07a6d7e38e8c3552ea")
    assert automatic_fingerprint([error()]).startswith("490d5678d307d8df54ecfd7d")


def test_the_message_does_not_make_another_issue_but_the_place_does():
    one, other = described(error("a", CHECKOUT)), described(error("b", CHECKOUT))
    assert one["$exception_issue_id"] == other["$exception_issue_id"]
    elsewhere = described(error("a", {**CHECKOUT, "function": "refund"}))
    assert elsewhere["$exception_issue_id"] != one["$exception_issue_id"]


def test_frames_of_libraries_do_not_count_unless_there_are_no_others():
    assert described(error("a", LIBRARY, CHECKOUT))["$exception_functions"] == ["checkout"]
    assert automatic_fingerprint([error("a", LIBRARY, CHECKOUT)]) == automatic_fingerprint(
        [error("a", CHECKOUT)]
    )
    assert automatic_fingerprint([error("a", LIBRARY)]) != automatic_fingerprint([error("a", CHECKOUT)])


def test_kinds_values_and_handling_are_listed():
    properties = described(
        error("bad total", CHECKOUT, mechanism={"handled": True}), {"type": "KeyError", "value": "'price'"}
    )
    assert properties["$exception_types"] == ["ValueError", "KeyError"]
    assert properties["$exception_values"] == ["bad total", "'price'"]
    assert properties["$exception_sources"] == ["shop/cart.py"]
    assert properties["$exception_handled"] is True


def test_a_fingerprint_of_the_client_wins_and_a_long_one_is_hashed():
    assert described(error(), **{"$exception_fingerprint": "mine"})["$exception_fingerprint"] == "mine"
    assert len(described(error(), **{"$exception_fingerprint": "x" * 65})["$exception_fingerprint"]) == 128


def test_a_long_message_is_cut():
    assert len(described(error("x" * 20_000))["$exception_list"][0]["value"]) == 10_003


@pytest.mark.parametrize(
    "hostile", [None, [], "text", [1, None], [{"stacktrace": None}], [{"stacktrace": {"frames": 5}}]]
)
def test_a_list_that_is_none_does_no_harm(hostile: Any):
    properties = {"$exception_list": hostile}
    describe_exception(properties, 1)
