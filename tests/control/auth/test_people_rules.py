"""Attributes that lead somebody elsewhere in mode proxy."""

import pytest

from control.auth.people_rules import attribute_problems

REFUSED: list[tuple[object, str]] = [
    ({"ak_proxy": "http://a"}, "not_a_mapping"),
    ({"ak_proxy": {"backend_override": ["http://a"]}}, "not_text"),
    ({"ak_proxy": {"backend_override": "a:3000"}}, "not_http"),
    ({"ak_proxy": {"backend_override": "http://a http://b"}}, "not_a_url"),
    ({"ak_proxy": {"backend_override": "http://a/../b"}}, "not_a_path"),
    ({"ak_proxy": {"host_header": "a\r\nX-A: b"}}, "not_a_host"),
    ({"ak_proxy": {"host_header": "user@a"}}, "not_a_host"),
    ({"ak_proxy": {"host_header": "bücher"}}, "not_text"),
    ({"ak_proxy": {"backend_override": "http://bücher"}}, "not_text"),
    ({"ak_proxy": {"host_header": "a" * 501}}, "not_a_host"),
]


@pytest.mark.parametrize(("attributes", "code"), REFUSED)
def test_what_leads_nowhere_is_refused(attributes: object, code: str) -> None:
    assert [problem.code for problem in attribute_problems(attributes)] == [code]


def test_what_leads_somewhere() -> None:
    settings = {"backend_override": "http://127.0.0.1:3000", "host_header": "a:8080", "else": 7}
    assert attribute_problems({"ak_proxy": settings}) == []
    assert attribute_problems({"ak_proxy": {"backend_override": "", "host_header": ""}}) == []


def test_a_problem_says_where_what_and_what_was_expected() -> None:
    (problem,) = attribute_problems({"ak_proxy": {"backend_override": "10.0.0.7:3000"}})
    assert (problem.field, problem.found) == ("attributes.ak_proxy.backend_override", "10.0.0.7:3000")
    assert "unix:///run/app.sock" in problem.expected
