"""Going through trees."""

from posthog_mcp.hogql import ast, children, parse, parse_expr, print_hogql, transform, walk


def test_children_come_in_the_order_of_the_fields():
    node = parse_expr("{'a': f(b), 'c': [d]}")
    assert [print_hogql(child) for child in children(node)] == ["'a'", "f(b)", "'c'", "[d]"]


def test_walk_meets_every_node_parents_first():
    query = parse(
        "with a as (select x) select sum(b) over w from c join d on e window w as (order by f) order by g"
    )
    fields = {print_hogql(node) for node in walk(query) if isinstance(node, ast.Field)}
    assert fields == set("xbcdefg")
    assert next(iter(walk(query))) is query


def test_walk_needs_no_stack():
    node: ast.Expr = ast.Field(["a"])
    for _ in range(5000):
        node = ast.Not(node)
    assert sum(1 for _ in walk(node)) == 5001


def test_transform_replaces_children_before_parents_and_shares_the_rest():
    def shorten(node: ast.Node) -> ast.Node:
        if (
            isinstance(node, ast.ArithmeticOperation)
            and isinstance(node.left, ast.Constant)
            and isinstance(node.right, ast.Constant)
        ):
            return ast.Constant(node.left.value + node.right.value)
        return node

    query = parse("select 1 + 2 + 3, a from b window w as (order by 4 + 5)")
    other = transform(query, shorten)
    assert print_hogql(other) == "SELECT 6, a FROM b WINDOW w AS (ORDER BY 9)"
    assert other.select_from is query.select_from
    assert print_hogql(query).startswith("SELECT 1 + 2 + 3")
    assert transform(query, lambda node: node) is query
