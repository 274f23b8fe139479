"""The guides that come with the package, by name."""

from importlib.resources import files

_FOLDER = files("posthog_mcp") / "guides"


def names() -> list[str]:
    """Every guide's name: the file names of `posthog_mcp/guides/`."""
    return sorted(item.name.removesuffix(".md") for item in _FOLDER.iterdir() if item.name.endswith(".md"))


def read(name: str) -> str:
    """The Markdown of a guide named by `names`."""
    return (_FOLDER / f"{name}.md").read_text(encoding="utf-8")
