"""What an application is sent as HTTP Basic, from the attributes of groups and user."""

import pytest

from control.domain.application import ProxyProvider
from control.domain.grant import BasicCredentials, find_basic_credentials
from control.domain.identity import Person
from tests.support import builders

SENDING = builders.provider(
    basic_auth_enabled=True, basic_auth_user_attribute="app_user", basic_auth_password_attribute="app_password"
)
GROUPS = (
    builders.group("b", attributes={"app_user": "from b", "app_password": "b"}),
    builders.group("a", attributes={"app_user": "from a", "app_password": "a"}),
)


def person(attributes: dict[str, object], email: str = "alice@example.com") -> Person:
    return Person(user=builders.user(attributes=attributes, email=email), groups=GROUPS[:0])


def sent(of: Person, provider: ProxyProvider = SENDING) -> tuple[str, str] | None:
    found = find_basic_credentials(of, provider)
    return None if found is None else (found.username, found.password)


def test_the_later_group_by_name_wins_and_the_user_over_all() -> None:
    assert sent(Person(user=builders.user(), groups=GROUPS)) == ("from b", "b")
    own = builders.user(attributes={"app_password": "own"})
    assert sent(Person(user=own, groups=GROUPS)) == ("from b", "own")


def test_the_address_stands_in_for_a_username() -> None:
    assert sent(person({"app_password": "pw"})) == ("alice@example.com", "pw")
    nameless = builders.provider(basic_auth_enabled=True, basic_auth_password_attribute="app_password")
    assert sent(person({"app_user": "al", "app_password": "pw"}), nameless) == ("alice@example.com", "pw")


@pytest.mark.parametrize(
    "attributes",
    [
        {},
        {"app_user": "al"},
        {"app_user": "al", "app_password": ""},
        {"app_user": "al", "app_password": 12345},
        {"app_user": "al", "app_password": None},
        {"app_user": "al", "app_password": ["pw"]},
        {"app_user": "root:x", "app_password": "pw"},
        {"app_user": "al\r\nX-Admin: 1", "app_password": "pw"},
        {"app_user": "al", "app_password": "p\x00w"},
        {"app_user": "al", "app_password": "p\x7fw"},
    ],
)
def test_what_can_not_be_sent_is_not(attributes: dict[str, object]) -> None:
    assert sent(person(attributes)) is None


def test_a_colon_in_a_password_is_its_own() -> None:
    assert sent(person({"app_user": "al", "app_password": "p:w"})) == ("al", "p:w")


def test_nothing_is_sent_where_the_provider_does_not_say_so() -> None:
    assert sent(person({"app_user": "al", "app_password": "pw"}), builders.provider()) is None


def test_a_password_is_not_shown() -> None:
    assert "pw" not in repr(BasicCredentials(username="al", password="pw"))
