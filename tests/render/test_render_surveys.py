"""Answers of surveys are counted whatever strangers send as one."""

import json
import re
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from posthog_mcp.render.surveys import COLUMNS, Answered, Given, read, rows, sentence

NPS = {"type": "rating", "question": "Recommend?", "scale": 10}
SMILES = {"type": "rating", "question": "Happy?", "scale": 3}
OPEN = {"type": "open", "question": "Why?"}
ROLE = {"type": "single_choice", "question": "Role?", "choices": ["Dev", "Design"]}
USES = {"type": "multiple_choice", "question": "Uses?", "choices": ["Web", "App"]}
TEXTS = st.lists(st.one_of(st.none(), st.text(max_size=20), st.integers(0, 10).map(str)), max_size=12)


def answered(question: dict[str, Any], *texts: Any, nps: bool = False) -> Answered:
    given = [Given(read(text, question), "2026-03-01T10:00:00Z") for text in texts]
    return Answered(1, question, [one for one in given if one.texts], len(texts), nps)


def test_a_net_promoter_score_is_promoters_less_detractors() -> None:
    one = answered(NPS, "10", "9", "9", "8", "7", "6", "3", "10", nps=True)
    assert sentence(one) == (
        "1. Recommend? (rating 0-10): 8 of 8 answered, average 7.75, "
        "NPS 25.0 (50 % promoters, 25 % passives, 25 % detractors)."
    )
    assert [row[1:4] for row in rows(one, 10)] == [
        ["3", 1, "12.5 %"], ["6", 1, "12.5 %"], ["7", 1, "12.5 %"], ["8", 1, "12.5 %"],
        ["9", 2, "25.0 %"], ["10", 2, "25.0 %"],
    ]  # fmt: skip


def test_ratings_that_the_scale_does_not_have_move_no_average() -> None:
    one = answered(SMILES, "3", "1e9", "nan", "-2", "three", "0", None)
    assert sentence(one) == (
        "1. Happy? (rating 1-3): 6 of 7 answered, average 3.00, 5 outside the scale left out."
    )
    assert [row[1:3] for row in rows(one, 10)] == [["3", 1]]


def test_choices_nobody_has_are_shown_and_own_words_counted_together() -> None:
    one = answered(ROLE, "Dev", "Baker", "Cook", None)
    assert rows(one, 1) == [
        [1, "Dev", 1, "33.3 %", None],
        [1, "Design", 0, "0.0 %", None],
        [1, "(other)", 2, "66.7 %", None],
        [1, "Baker", None, None, "2026-03-01T10:00:00Z"],
    ]


def test_several_choices_come_as_a_list_or_as_its_text() -> None:
    one = answered(USES, '["Web","App"]', ["Web"], "[no list", "[" * 10_000)
    assert [row[2] for row in rows(one, 0)] == [2, 1, 2]


@settings(max_examples=60, deadline=None)
@given(st.sampled_from([NPS, SMILES, OPEN, ROLE, USES]), TEXTS)
def test_every_answer_is_counted_once_or_left_out_by_name(question: dict[str, Any], texts: list[Any]) -> None:
    one = answered(question, *texts, nps=question is NPS)
    table = rows(one, len(texts))
    assert all(len(row) == len(COLUMNS) for row in table)
    counted = sum(row[2] for row in table if row[2] is not None)
    several = sum(len(given.texts) for given in one.given)
    if question["type"] == "rating":
        assert counted + _left_out(sentence(one)) == len(one.given)
    elif question["type"] == "open":
        assert len(table) == len(one.given)
    else:
        assert counted == several
    json.dumps(table)


def _left_out(words: str) -> int:
    found = re.search(r"(\d+) outside the scale", words)
    return int(found[1]) if found else 0
