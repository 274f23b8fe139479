import re
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from posthog_mcp.settings import (
    PREFIX,
    VARIABLES,
    Access,
    LimitScope,
    OutboxPlace,
    Rate,
    Settings,
    SettingsError,
    default_data_dir,
    environment,
    parse_limits,
)

HOME = {"HOME": "/home/ada"}
CANARIES = {
    "POSTHOG_API_KEY": "phc_CANARY1",
    "POSTHOG_PERSONAL_API_KEY": "phx_CANARY2",
    "POSTHOG_PROJECT_SECRET_KEY": "phs_CANARY3",
    "POSTHOG_MCP_HTTP_TOKENS": "CANARY4, CANARY5",
    "POSTHOG_MCP_REDIS_URL": "redis://:CANARY6@cache:6379/0",
    "POSTHOG_MCP_PROXY": "http://ada:CANARY7@proxy:3128",
}


def problems(env: dict[str, str], **flags: object) -> str:
    with pytest.raises(SettingsError) as caught:
        Settings.load({**HOME, **env}, **flags)
    return str(caught.value)


def test_nothing_set_gives_the_documented_defaults():
    settings = Settings.load(HOME)
    assert settings.host == ""
    assert settings.project_token is None
    assert settings.access is Access.WRITE
    assert settings.call_seconds == 45
    assert settings.flag_poll_seconds == 300
    assert settings.limit_scope is LimitScope.ORGANIZATION
    assert settings.outbox is OutboxPlace.DISK
    assert settings.unattended_deletes is False
    assert settings.warnings == ()


def test_every_variable_fills_its_field(tmp_path: Path):
    authorities = tmp_path / "ca.pem"
    authorities.write_text("x")
    settings = Settings.load(
        {
            **HOME,
            **CANARIES,
            "POSTHOG_HOST": "eu",
            "POSTHOG_PROJECT_ID": "12",
            "POSTHOG_MCP_PROJECT": "13",
            "POSTHOG_MCP_ACCESS": "Read",
            "POSTHOG_MCP_AREAS": "flags, query",
            "POSTHOG_MCP_TOOLS": "+save_cohort,-delete_flag",
            "POSTHOG_MCP_DATA_DIR": str(tmp_path),
            "POSTHOG_MCP_OAUTH_ISSUER": "https://id.example.com",
            "POSTHOG_MCP_OAUTH_SCOPES": "posthog:use",
            "POSTHOG_MCP_ALLOWED_HOSTS": "a.example.com,b.example.com:8080",
            "POSTHOG_MCP_ALLOWED_ORIGINS": "https://a.example.com",
            "POSTHOG_MCP_FLAG_POLL_SECONDS": "60",
            "POSTHOG_MCP_CALL_SECONDS": "20.5",
            "POSTHOG_MCP_LIMITS": "crud=480/60s,4800/1h; query=3/1.5s",
            "POSTHOG_MCP_LIMIT_SCOPE": "key",
            "POSTHOG_MCP_OUTBOX": "memory",
            "POSTHOG_MCP_OUTBOX_EVENTS": "5000",
            "POSTHOG_MCP_CA_FILE": str(authorities),
            "POSTHOG_MCP_MASK_PII": "yes",
            "POSTHOG_MCP_UNATTENDED_DELETES": "1",
            "POSTHOG_MCP_LOG_LEVEL": "DEBUG",
        }
    )
    unset = Settings.load(HOME)
    for variable in VARIABLES:
        assert getattr(settings, variable.field) != getattr(unset, variable.field), variable.name
    assert settings.limits == (
        Rate("crud", 480, 60.0),
        Rate("crud", 4800, 3600.0),
        Rate("query", 3, 1.5),
    )
    assert settings.tools == ("+save_cohort", "-delete_flag")
    assert [token.get_secret_value() for token in settings.http_tokens] == ["CANARY4", "CANARY5"]


def test_a_flag_wins_over_its_variable():
    env = {**HOME, "POSTHOG_MCP_ACCESS": "full", "POSTHOG_MCP_CALL_SECONDS": "5"}
    settings = Settings.load(env, access="read", call_seconds=None, pinned_project_id=7)
    assert settings.access is Access.READ
    assert settings.call_seconds == 5
    assert settings.pinned_project_id == 7


def test_a_flag_that_does_not_fit_is_named_as_an_option():
    assert problems({}, access="admin").startswith("--access is 'admin': valid are read, write, full.")


def test_a_flag_without_a_field_is_a_mistake_of_the_program():
    with pytest.raises(TypeError, match="acces"):
        Settings.load(HOME, acces="read")


@pytest.mark.parametrize("value", ["", "   ", "${user_config.key}", " ${POSTHOG_KEY} ", "${A\nB}"])
def test_a_blank_or_unexpanded_value_counts_as_unset(value: str):
    env = {variable.name: value for variable in VARIABLES if variable.name != "POSTHOG_HOST"}
    assert Settings.load({**HOME, **env, "POSTHOG_MCP_NEW": value}) == Settings.load(HOME)
    assert Settings.load({**HOME, "POSTHOG_HOST": value}).host == ""


def test_a_host_with_an_unexpanded_part_counts_as_unset_and_is_told():
    settings = Settings.load({**HOME, "POSTHOG_HOST": "https://${REGION}.posthog.com"})
    assert settings.host == ""
    assert "POSTHOG_HOST" in settings.warnings[0]


@pytest.mark.parametrize(
    ("name", "value", "valid"),
    [
        ("ACCESS", "rw", "read, write, full"),
        ("LIMIT_SCOPE", "team", "host, organization, key"),
        ("OUTBOX", "ram", "disk, memory"),
        ("CALL_SECONDS", "0", "from 1 to 600"),
        ("CALL_SECONDS", "nan", "from 1 to 600"),
        ("FLAG_POLL_SECONDS", "soon", "from 1 to 86400"),
        ("MASK_PII", "maybe", "true and false"),
        ("UNATTENDED_DELETES", "ok", "true and false"),
        ("AREAS", "flags,cohorst", "'cohorst'"),
        ("TOOLS", "save_cohort", "+name"),
        ("DATA_DIR", "state", "absolute path"),
        ("CA_FILE", "/no/such/file.pem", "no such file"),
        ("LIMITS", "crud=0/60s", "480/60s"),
        ("LIMITS", "crude=1/60s", "crud, analytics"),
        ("OAUTH_ISSUER", "id.example.com", "https://"),
        ("LOG_LEVEL", "loud", "debug, info, warning, error"),
    ],
)
def test_a_value_that_does_not_fit_names_the_variable_the_value_and_the_valid_ones(
    name: str, value: str, valid: str
):
    text = problems({PREFIX + name: value})
    assert PREFIX + name in text
    assert valid in text
    assert value.rsplit(",", 1)[-1] in text


@pytest.mark.parametrize("value", ["phc_12", "-3", "0", "1.5", "12 or 1"])
def test_a_project_id_is_a_positive_number(value: str):
    assert "POSTHOG_PROJECT_ID" in problems({"POSTHOG_PROJECT_ID": value})


def test_all_problems_are_told_at_once():
    text = problems({"POSTHOG_MCP_ACCESS": "x", "POSTHOG_MCP_OUTBOX": "y", "POSTHOG_MCP_ACESS": "read"})
    assert len(text.splitlines()) == 3


def test_a_misspelt_safety_option_stops_the_start_and_names_the_right_one():
    assert "did you mean POSTHOG_MCP_UNATTENDED_DELETES?" in problems({"POSTHOG_MCP_UNATTENDED_DELETE": "0"})
    assert "POSTHOG_MCP_ACCESS" in problems({"POSTHOG_MCP_READONLY": "1"})


def test_a_name_of_posthog_that_only_looks_right_is_a_warning():
    settings = Settings.load({**HOME, "POSTHOG_PERSONAL_KEY": "phx_x", "POSTHOG_DISABLED": "1"})
    assert settings.warnings == (
        "POSTHOG_PERSONAL_KEY is not read; posthog-mcp reads POSTHOG_PERSONAL_API_KEY.",
    )


def test_no_representation_shows_a_secret():
    settings = Settings.load({**HOME, **CANARIES})
    shown = repr(settings) + str(settings) + settings.model_dump_json()
    assert "CANARY1" not in shown
    assert re.search("CANARY", shown) is None
    assert len(settings.secrets()) == 6


@pytest.mark.parametrize("name", ["REDIS_URL", "PROXY"])
def test_a_secret_that_does_not_fit_is_not_repeated(name: str):
    text = problems({PREFIX + name: "CANARY://ada:pw@x"})
    assert PREFIX + name in text
    assert "CANARY" not in text


def test_keys_are_not_judged_at_the_start():
    settings = Settings.load(
        {**HOME, "POSTHOG_PERSONAL_API_KEY": "phc_wrong kind", "POSTHOG_HOST": "ftp://x"}
    )
    assert settings.personal_api_key is not None


def test_settings_are_frozen():
    with pytest.raises(ValueError, match="frozen"):
        Settings.load(HOME).access = Access.FULL  # type: ignore[misc]


@pytest.mark.parametrize(
    ("platform", "env", "expected"),
    [
        ("linux", {"HOME": "/home/ada"}, "/home/ada/.local/state/posthog-mcp"),
        ("linux", {"HOME": "/home/ada", "XDG_STATE_HOME": "/var/s"}, "/var/s/posthog-mcp"),
        ("linux", {"HOME": "/home/ada", "XDG_STATE_HOME": "s"}, "/home/ada/.local/state/posthog-mcp"),
        ("darwin", {"HOME": "/Users/ada"}, "/Users/ada/Library/Application Support/posthog-mcp"),
        ("win32", {"LOCALAPPDATA": "/c/Local"}, "/c/Local/posthog-mcp"),
        ("win32", {"USERPROFILE": "/c/ada"}, "/c/ada/AppData/Local/posthog-mcp"),
    ],
)
def test_state_goes_where_the_platform_keeps_it(platform: str, env: dict[str, str], expected: str):
    assert default_data_dir(env, platform) == Path(expected)


def test_loading_creates_no_directory(tmp_path: Path):
    settings = Settings.load({"HOME": str(tmp_path)})
    assert settings.data_dir.is_relative_to(tmp_path)
    assert list(tmp_path.iterdir()) == []


def test_the_environment_is_a_copy(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("POSTHOG_HOST", "eu")
    copy = environment()
    assert copy["POSTHOG_HOST"] == "eu"
    copy["POSTHOG_HOST"] = "us"
    assert environment()["POSTHOG_HOST"] == "eu"


@given(st.text(max_size=40))
def test_any_text_for_limits_is_read_or_refused(text: str):
    try:
        rates = parse_limits(text)
    except ValueError:
        return
    assert rates is None or all(rate.permits > 0 and rate.seconds > 0 for rate in rates)
