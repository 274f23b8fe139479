"""`$elements` of an `$autocapture` event as PostHog's chain text."""

from __future__ import annotations

from typing import Any, cast

_TEXT_LIMIT = 400
_HREF_LIMIT = 2_048


def elements_chain(elements: list[Any]) -> str:
    """The chain: innermost element first, joined by `;`, each `tag.class:` and its attributes in order.

    Example: `button.buy:attr_id="go"nth-child="2"nth-of-type="1"text="Buy"`.
    """
    return ";".join(_element(cast("dict[str, Any]", each)) for each in elements if isinstance(each, dict))


def _element(element: dict[str, Any]) -> str:
    attributes: dict[str, Any] = {
        "nth-child": element.get("nth_child") or 0,
        "nth-of-type": element.get("nth_of_type") or 0,
    }
    if text := element.get("$el_text"):
        attributes["text"] = str(text)[:_TEXT_LIMIT]
    if href := element.get("attr__href"):
        attributes["href"] = str(href)[:_HREF_LIMIT]
    if element_id := element.get("attr__id"):
        attributes["attr_id"] = element_id
    attributes.update((key, value) for key, value in element.items() if key.startswith("attr__"))
    written = "".join(f'{_escaped(key)}="{_escaped(attributes[key])}"' for key in sorted(attributes))
    classes = "".join(f".{name}" for name in sorted(_classes(element.get("attr__class"))))
    return f"{element.get('tag_name') or ''}{classes}:{written}"


def _classes(value: Any) -> list[str]:
    names = cast("list[Any]", value) if isinstance(value, list) else str(value or "").split()
    return [str(name).replace('"', "") for name in names]


def _escaped(value: Any) -> str:
    return str(value).replace('"', '\\"')
