"""Applications and their bindings."""

from uuid import uuid4

import pytest

from control.domain.application import PolicyMode
from control.domain.errors import Invalid
from control.fleet.applications import (
    create_application,
    launch_url_of,
    remove_application,
    replace_bindings,
    slug_from,
    update_application,
)
from control.store import Store
from tests.support import builders
from tests.support.stores import ADMIN, Wakes

WIKI: dict[str, object] = {"slug": "wiki", "name": "Wiki"}


def refusals(store: Store, **fields: object) -> dict[str, str]:
    """Code by field of what is wrong with an application of these fields."""
    with pytest.raises(Invalid) as caught, store.write(ADMIN) as unit:
        create_application(unit, {**WIKI, **fields})
    return {problem.field: problem.code for problem in caught.value.problems}


def test_fields_are_stored(store: Store) -> None:
    provider = builders.provider()
    with store.write(ADMIN) as unit:
        unit.providers.add(provider)
        made = create_application(
            unit,
            {
                **WIKI,
                "provider": "wiki",
                "policy_mode": "all",
                "category": "Docs",
                "description": "Two\nlines",
                "publisher": "Us",
                "launch_url": "https://wiki.example.com/start?a=1#b",
            },
        )
        assert unit.applications.get(made.id) == made
    assert (made.provider, made.policy_mode, made.category) == (provider.id, PolicyMode.ALL, "Docs")
    assert (made.description, made.publisher) == ("Two\nlines", "Us")


def test_it_leads_to_its_launch_url_or_its_provider_or_nowhere() -> None:
    provider = builders.provider()
    assert launch_url_of(builders.application(launch_url="https://a.example"), provider) == "https://a.example"
    assert launch_url_of(builders.application(), provider) == "https://wiki.example.com"
    assert launch_url_of(builders.application(), None) == ""


@pytest.mark.parametrize(
    "url",
    [
        "javascript:alert(1)",
        "data:text/html,x",
        "//evil.example",
        "wiki",
        "https://",
        "https://u:p@a.example",
        "http:/a",
    ],
)
def test_launch_urls_that_are_refused(store: Store, url: str) -> None:
    assert refusals(store, launch_url=url) == {"launch_url": "not_a_url"}


@pytest.mark.parametrize("slug", ["with space", "ü", "a/b", "a.b", "../x"])
def test_slugs_that_are_refused(store: Store, slug: str) -> None:
    assert refusals(store, slug=slug) == {"slug": "not_a_slug"}


def test_slug_and_provider_are_one_applications(store: Store) -> None:
    with store.write(ADMIN) as unit:
        unit.providers.add(builders.provider())
        create_application(unit, {**WIKI, "provider": "wiki"})
    assert refusals(store, provider="wiki") == {"slug": "already_taken", "provider": "already_taken"}


@pytest.mark.parametrize(
    ("name", "slug"), [("My Wiki!", "my-wiki"), ("Bücher & Co.", "bucher-co"), ("—", ""), ("x" * 80, "x" * 50)]
)
def test_a_slug_is_suggested(name: str, slug: str) -> None:
    assert slug_from(name) == slug


def test_bindings_are_replaced_as_a_whole(store: Store) -> None:
    alice, staff = builders.user("alice"), builders.group("staff")
    with store.write(ADMIN) as unit:
        unit.users.add(alice)
        unit.groups.add(staff)
        made = create_application(unit, {**WIKI, "bindings": [{"group": "staff"}, {"user": alice.id, "negate": True}]})
        first, second = unit.bindings.of_application(made.id)
        assert (first.group, first.user, first.order, first.enabled, first.negate) == (staff.id, None, 0, True, False)
        assert (second.user, second.group, second.order, second.negate) == (alice.id, None, 1, True)
        (left,) = replace_bindings(unit, made, [{"group": "staff"}])
        assert left == first


def test_equal_bindings_are_no_change(store: Store, wakes: Wakes) -> None:
    with store.write(ADMIN) as unit:
        unit.groups.add(builders.group("staff"))
        made = create_application(unit, {**WIKI, "bindings": [{"group": "staff"}, {"group": "staff", "order": 5}]})
    with store.write(ADMIN) as unit:
        update_application(unit, made, {"bindings": [{"group": "staff"}, {"group": "staff", "order": 5}]})
    assert wakes.count == 1


def test_bindings_not_named_stay(store: Store) -> None:
    with store.write(ADMIN) as unit:
        unit.groups.add(builders.group("staff"))
        made = create_application(unit, {**WIKI, "bindings": [{"group": "staff"}]})
        update_application(unit, made, {"name": "Renamed"})
        assert len(unit.bindings.of_application(made.id)) == 1


def test_bad_bindings_are_all_told(store: Store) -> None:
    with store.write(ADMIN) as unit:
        unit.users.add(builders.user("alice"))
        unit.groups.add(builders.group("staff"))
    bindings = [
        {"group": "staff", "user": "alice"},
        {},
        {"user": "nobody"},
        {"group": "staff", "order": "first", "enabled": 1, "grup": "x"},
        {"user": uuid4()},
    ]
    assert refusals(store, bindings=bindings) == {
        "bindings[0]": "not_one_of_both",
        "bindings[1]": "not_one_of_both",
        "bindings[2].user": "not_found",
        "bindings[3].order": "not_a_number",
        "bindings[3].enabled": "not_a_boolean",
        "bindings[3].grup": "unknown_field",
        "bindings[4].user": "not_found",
    }


@pytest.mark.parametrize("bindings", ["staff", {"group": "staff"}, 7])
def test_bindings_are_a_list(store: Store, bindings: object) -> None:
    assert refusals(store, bindings=bindings) == {"bindings": "not_a_list"}


def test_removing_one_leaves_its_provider(store: Store) -> None:
    with store.write(ADMIN) as unit:
        unit.providers.add(builders.provider())
        unit.groups.add(builders.group("staff"))
        made = create_application(unit, {**WIKI, "provider": "wiki", "bindings": [{"group": "staff"}]})
        remove_application(unit, made)
        assert (unit.applications.count(), unit.bindings.count(), unit.providers.count()) == (0, 0, 1)
