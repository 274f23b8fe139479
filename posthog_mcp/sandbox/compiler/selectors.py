"""CSS selectors of autocapture, as regular expressions over `elements_chain`.

The chain is `tag.class1.class2:attr="value"...;parent...`, innermost element first.
"""

from __future__ import annotations

import re

from posthog_mcp.sandbox.compiler.errors import CompileError

_PART = re.compile(
    r"(?P<tag>[a-zA-Z][\w-]*)|\*|#(?P<id>[\w-]+)|\.(?P<cls>[\w-]+)"
    r"|\[(?P<attr>[\w-]+)(?:=(?P<quote>[\"']?)(?P<value>[^\"'\]]*)(?P=quote))?\]"
    r"|:nth-child\((?P<nth>\d+)\)|:nth-of-type\((?P<nth_type>\d+)\)"
)
_COLUMNS = {
    "id": "attr_id",
    "href": "href",
    "text": "text",
    "nth-child": "nth-child",
    "nth-of-type": "nth-of-type",
}
_PARTS = {"id": "attr_id", "nth": "nth-child", "nth_type": "nth-of-type"}
_ANYTHING = "[^;]*"


def selector_pattern(selector: str) -> str:
    """A pattern that `match(elements_chain, ...)` understands.

    Raises:
        CompileError: the selector uses CSS beyond tags, ids, classes, attributes, nth-child and `>`.
    """
    steps = re.findall(r"\s*>\s*|\s+|[^\s>\[]+(?:\[[^\]]*\][^\s>\[]*)*|\[[^\]]*\][^\s>]*", selector.strip())
    pattern, between = "", ""
    for step in reversed(steps):
        if not step.strip() or step.strip() == ">":
            between = ";" if ">" in step else ";(?:[^;]*;)*"
            continue
        pattern += (between if pattern else "(?:^|;)") + _element(step, selector)
    if not pattern:
        raise CompileError("An element's selector is empty.")
    return f"{pattern}(?:;|$)"


def tag_pattern(tag: str) -> str:
    """A pattern for a chain with an element of this tag."""
    return f"(?:^|;){re.escape(tag)}(?:[.:;]|$)"


def attribute_pattern(name: str, value: str) -> str:
    """A pattern for an element's attribute within the chain."""
    return f'(?::|"){re.escape(name)}="{re.escape(value)}"'


def _element(step: str, selector: str) -> str:
    position, tag = 0, "[^;.:]*"
    classes: list[str] = []
    attributes: list[tuple[str, str | None]] = []
    while position < len(step):
        found = _PART.match(step, position)
        if found is None or found.end() == position:
            raise CompileError(f"The selector {selector!r} uses CSS that the sandbox cannot match.")
        position = found.end()
        tag = found["tag"] or tag
        if found["cls"]:
            classes.append(found["cls"])
        attributes += [(attribute, found[name]) for name, attribute in _PARTS.items() if found[name]]
        if found["attr"]:
            attributes.append((_COLUMNS.get(found["attr"], f"attr__{found['attr']}"), found["value"]))
    text = tag if tag.startswith("[") else re.escape(tag)
    # Both lists are sorted in the chain.
    for name in sorted(classes):
        text += rf"(?:\.[^;:.]*)*?\.{re.escape(name)}"
    text += r"(?:\.[^;:]*)?"
    if not attributes:
        return f"{text}(?::{_ANYTHING})?"
    text += ":"
    for name, value in sorted(attributes, key=lambda pair: pair[0]):
        text += f'{_ANYTHING}{re.escape(name)}="{re.escape(value) if value is not None else _ANYTHING}"'
    return f"{text}{_ANYTHING}"
