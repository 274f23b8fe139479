import logging
import string
from urllib.parse import quote, quote_plus

import pytest
from hypothesis import given
from hypothesis import strategies as st

from posthog_mcp.safety.redact import RedactingFilter, redact

BASE62 = string.ascii_letters + string.digits
keys = st.builds(
    str.__add__, st.sampled_from(["phx_", "phs_", "pha_", "phr_"]), st.text(BASE62, min_size=20, max_size=44)
)
anything = st.text(max_size=19)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("key phx_abc123 here", "key phx_… here"),
        ("phs_a,pha_b;phr_c", "phs_…,pha_…;phr_…"),
        (r"line\nphx_abc", r"line\nphx_…"),
        ("q=%20phx_abc", "q=%20phx_…"),
        ('{"Authorization": "Bearer abc.def"}', '{"Authorization": "Bearer …"}'),
        ("authorization: Basic dXNlcjpwYXNz", "authorization: Basic …"),
        ("(b'Authorization', b'Bearer short')", "(b'Authorization', b'Bearer …')"),
        ("sent Bearer 0123456789abcdef0", "sent Bearer …"),
        ("?personal_api_key=oldkey&x=1", "?personal_api_key=…&x=1"),
        ("redis://:pw@cache:6379", "redis://…@cache:6379"),
    ],
)
def test_what_looks_like_a_key_loses_all_but_its_prefix(text: str, expected: str):
    assert redact(text) == expected


@pytest.mark.parametrize(
    "text",
    [
        "phc_public is write-only",
        "graphs_count of paragraphs_total",
        "a Bearer token is needed",
        "keys start with phx_ or phs_",
        "mail ada@example.com",
        "",
    ],
)
def test_what_only_resembles_a_key_stays(text: str):
    assert redact(text) is text or redact(text) == text


@given(before=anything, key=keys, after=anything)
def test_no_key_survives_wherever_it_stands(before: str, key: str, after: str):
    assert key[4:] not in redact(before + key + after)
    assert key[4:] not in redact(repr(before + key + after))


@given(
    before=st.text("0123456789 ", max_size=20),
    secret=st.text(string.ascii_letters + "!/%=é&", min_size=8, max_size=40),
    after=st.text("0123456789 ", max_size=20),
)
def test_an_exact_secret_never_survives_in_any_of_its_forms(before: str, secret: str, after: str):
    shown = redact(before + secret + after + quote(secret, safe="") + quote_plus(secret), [secret])
    assert secret not in shown
    assert quote(secret, safe="") not in shown


def test_an_exact_secret_without_prefix_is_gone_and_one_with_prefix_keeps_it():
    assert redact("x oldpersonalkey y", ["oldpersonalkey"]) == "x … y"
    assert redact("xphx_abcy", ["phx_abc"]) == "xphx_…y"


def test_a_log_record_shows_no_key_in_message_arguments_exception_or_stack():
    record = logging.LogRecord("x", logging.ERROR, "f.py", 1, "sent %s", ("phx_CANARY",), None)
    with pytest.raises(RuntimeError) as caught:
        raise RuntimeError("phs_CANARY and oldCANARY")
    record.exc_info = (caught.type, caught.value, caught.tb)
    record.stack_info = "Stack: key='pha_CANARY'"
    assert RedactingFilter(["oldCANARY"]).filter(record) is True
    shown = logging.Formatter("%(message)s").format(record)
    assert "CANARY" not in shown
    assert "RuntimeError" in shown
    assert "sent phx_…" in shown


def test_a_log_message_with_percent_signs_and_no_arguments_passes():
    record = logging.LogRecord("x", logging.INFO, "f.py", 1, "100 % of %s", (), None)
    RedactingFilter().filter(record)
    assert record.getMessage() == "100 % of %s"
