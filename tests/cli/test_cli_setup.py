"""Setting up clients: the entry goes in, and nothing that was there is lost."""

import json
import tomllib
from pathlib import Path
from typing import Any

import pytest
from cli_done import Run

from posthog_mcp.cli import _jsonc as jsonc
from posthog_mcp.cli._clients import CLIENTS, Place

KEYS = {"POSTHOG_API_KEY": "phc_mine", "POSTHOG_PERSONAL_API_KEY": "phx_mine"}
each_client = pytest.mark.parametrize("name", CLIENTS)


def file_of(name: str, home: Path) -> Path:
    return CLIENTS[name].file(Place({"HOME": str(home)}, home, "linux"))


def read(name: str, file: Path) -> dict[str, Any]:
    text = file.read_text()
    return tomllib.loads(text) if name == "codex" else jsonc.read(text, comments=True).value


def entry_of(name: str, file: Path) -> dict[str, Any]:
    return read(name, file)[CLIENTS[name].servers]["posthog"]


@each_client
def test_a_client_without_a_file_gets_one_that_starts_this_program(run: Run, tmp_path: Path, name: str):
    done = run("setup", name, **KEYS, POSTHOG_HOST="eu")
    assert (done.code, done.err) == (0, "")
    file = file_of(name, tmp_path)
    entry = entry_of(name, file)
    assert Path(entry["command"]).is_file()
    assert entry["env"]["POSTHOG_HOST"] == "eu"
    assert file.stat().st_mode & 0o077 == 0
    written = file.read_text()
    if CLIENTS[name].refers:
        assert "phx_mine" not in written
        assert "$" in entry["env"]["POSTHOG_PERSONAL_API_KEY"]
    else:
        assert entry["env"]["POSTHOG_PERSONAL_API_KEY"] == "phx_mine"


@each_client
def test_a_second_time_changes_nothing(run: Run, tmp_path: Path, name: str):
    run("setup", name, **KEYS)
    before = file_of(name, tmp_path).read_text()
    done = run("setup", name)
    assert done.code == 0
    assert "as it should be" in done.out
    assert file_of(name, tmp_path).read_text() == before
    assert not list(file_of(name, tmp_path).parent.glob("*.bak"))


@each_client
def test_keys_that_are_not_there_are_left_as_placeholders_that_count_as_unset(
    run: Run, tmp_path: Path, name: str
):
    done = run("setup", name)
    entry = entry_of(name, file_of(name, tmp_path))
    assert all(value.startswith("${") and value.endswith("}") for value in entry["env"].values())
    assert ("POSTHOG_PERSONAL_API_KEY" in done.out) is not CLIENTS[name].refers


@each_client
def test_printing_shows_the_entry_without_keys_and_writes_nothing(run: Run, tmp_path: Path, name: str):
    done = run("setup", name, "--print", **KEYS, POSTHOG_PROJECT_SECRET_KEY="phs_mine")
    assert done.code == 0
    shown = tomllib.loads(done.out) if name == "codex" else json.loads(done.out)
    assert shown[CLIENTS[name].servers]["posthog"]["env"]["POSTHOG_API_KEY"].startswith("${")
    for key in ("phc_mine", "phx_mine", "phs_mine"):
        assert key not in done.out + done.err
    assert not file_of(name, tmp_path).exists()


JSON = """{
  "theme": "dark",
  "%s": {
    "other": {"command": "other", "env": {"KEY": "theirs"}},
    "posthog": {"command": "/old/posthog-mcp", "args": ["serve", "--access", "read"], "disabled": true,
      "env": {"POSTHOG_API_KEY": "phc_old", "POSTHOG_MCP_MASK_PII": "true"}}
  }
}
"""


@pytest.mark.parametrize("name", [name for name in CLIENTS if name != "codex"])
def test_other_servers_and_what_a_person_set_stay(run: Run, tmp_path: Path, name: str):
    file = file_of(name, tmp_path)
    file.parent.mkdir(parents=True, exist_ok=True)
    before = JSON % CLIENTS[name].servers
    file.write_text(before)
    file.chmod(0o640)
    done = run("setup", name, POSTHOG_PERSONAL_API_KEY="phx_mine")
    assert done.code == 0
    whole = read(name, file)
    assert whole["theme"] == "dark"
    assert whole[CLIENTS[name].servers]["other"] == {"command": "other", "env": {"KEY": "theirs"}}
    entry = whole[CLIENTS[name].servers]["posthog"]
    assert entry["command"] != "/old/posthog-mcp"
    assert entry["disabled"] is True
    assert entry["args"] == ["serve", "--access", "read"]
    assert entry["env"]["POSTHOG_API_KEY"] == "phc_old"
    assert entry["env"]["POSTHOG_MCP_MASK_PII"] == "true"
    assert file.stat().st_mode & 0o777 == 0o640
    (copy,) = file.parent.glob("*.bak")
    assert copy.read_text() == before
    assert copy.name in done.out


def test_comments_of_vs_code_stay_and_it_asks_for_each_key_once(run: Run, tmp_path: Path):
    file = file_of("vscode", tmp_path)
    file.parent.mkdir(parents=True)
    file.write_text('{\n\t// mine\n\t"inputs": [{"id": "x", "type": "promptString"}], // asked\n}\n')
    run("setup", "vscode")
    done = run("setup", "vscode", POSTHOG_PROJECT_SECRET_KEY="phs_mine")
    assert done.code == 0
    text = file.read_text()
    assert "// mine" in text
    assert "// asked" in text
    asked = [one["id"] for one in read("vscode", file)["inputs"]]
    assert asked == ["x", "posthog-api-key", "posthog-personal-api-key", "posthog-project-secret-key"]


TOML = """# mine
model = "o9"

[mcp_servers.posthog]  # the server
command = "/old/posthog-mcp"
enabled = false
[mcp_servers.posthog.env]
POSTHOG_MCP_ACCESS = "read"

# the other one
[mcp_servers.other]
command = "other"
text = '''
[mcp_servers.posthog]
'''
"""


def test_toml_around_the_entry_stays(run: Run, tmp_path: Path):
    file = file_of("codex", tmp_path)
    file.parent.mkdir()
    file.write_text(TOML.replace("text = '''\n[mcp_servers.posthog]\n'''\n", ""))
    assert run("setup", "codex", **KEYS).code == 0
    text = file.read_text()
    assert text.startswith('# mine\nmodel = "o9"\n\n[mcp_servers.posthog]\n')
    assert "\n# the other one\n[mcp_servers.other]\n" in text
    entry = entry_of("codex", file)
    assert entry["enabled"] is False
    assert entry["env"] == {**KEYS, "POSTHOG_MCP_ACCESS": "read"}
    assert entry["startup_timeout_sec"] == 60


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("claude-desktop", "{ // comment\n}"),
        ("claude-desktop", '{"mcpServers": []}'),
        ("cursor", '{"mcpServers": {"posthog": 1}}'),
        ("claude-code", "[]"),
        ("windsurf", '{"a": 1, "a": 2}'),
        ("vscode", '{"servers": '),
        ("codex", "[mcp_servers\n"),
        ("codex", 'mcp_servers = {posthog = {command = "x"}}\n'),
        ("codex", TOML),
    ],
)
def test_a_file_that_cannot_be_changed_safely_is_left_alone(run: Run, tmp_path: Path, name: str, text: str):
    file = file_of(name, tmp_path)
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(text)
    done = run("setup", name, **KEYS)
    assert done.code == 1
    assert "was not changed" in done.err
    assert f"setup {name} --print" in done.err
    assert file.read_text() == text
    assert [path.name for path in file.parent.iterdir() if path.is_file()] == [file.name]
    assert run("setup", name, "--print").code == 0


def test_a_link_to_the_file_stays_a_link(run: Run, tmp_path: Path):
    kept = tmp_path / "dotfiles" / "mcp.json"
    kept.parent.mkdir()
    kept.write_text("{}")
    file = file_of("cursor", tmp_path)
    file.parent.mkdir()
    file.symlink_to(kept)
    assert run("setup", "cursor").code == 0
    assert file.is_symlink()
    assert "posthog" in kept.read_text()


@pytest.mark.parametrize(
    ("name", "platform", "env", "file"),
    [
        (
            "claude-desktop",
            "darwin",
            {},
            "home/Library/Application Support/Claude/claude_desktop_config.json",
        ),
        ("claude-desktop", "win32", {"APPDATA": "/roaming"}, "/roaming/Claude/claude_desktop_config.json"),
        ("vscode", "darwin", {}, "home/Library/Application Support/Code/User/mcp.json"),
        ("vscode", "linux", {"XDG_CONFIG_HOME": "/config"}, "/config/Code/User/mcp.json"),
        ("codex", "linux", {"CODEX_HOME": "/codex"}, "/codex/config.toml"),
        ("windsurf", "linux", {}, "home/.codeium/windsurf/mcp_config.json"),
        ("claude-code", "linux", {}, "here/.mcp.json"),
    ],
)
def test_each_client_has_its_file_where_the_platform_puts_it(name: str, platform: str, env: Any, file: str):
    place = Place({"HOME": "home", **env}, Path("here"), platform)
    assert CLIENTS[name].file(place) == Path(file)


def test_settings_that_do_not_fit_stop_it(run: Run, tmp_path: Path):
    done = run("setup", "cursor", POSTHOG_PROJECT_ID="shop")
    assert done.code == 2
    assert "POSTHOG_PROJECT_ID" in done.err
    assert not file_of("cursor", tmp_path).exists()
