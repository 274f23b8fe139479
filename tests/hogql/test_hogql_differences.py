"""The document of differences says the truth."""

import hogql_oracle as oracle
import pytest
from hogql_differences import DIFFERENCES

from posthog_mcp.hogql import HogQLSyntaxError, parse, parse_expr


def test_the_list_is_there():
    assert len(DIFFERENCES) > 50
    assert len(set(DIFFERENCES)) == len(DIFFERENCES)


@pytest.mark.parametrize("text", DIFFERENCES)
def test_each_is_read_by_posthog_and_refused_by_us(text: str):
    query = oracle.parse_query(text) is not None
    assert query or oracle.parse_expr(text) is not None
    with pytest.raises(HogQLSyntaxError):
        (parse if query else parse_expr)(text)
