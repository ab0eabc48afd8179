import copy
import datetime as dt
from dataclasses import replace
from typing import ClassVar

import pytest

from dataplane.config import Certificate, Edit, Ended, ProxyMode, ProxyProvider, Resource, SessionKey
from dataplane.io.self_signed import self_signed
from dataplane.protocols.proxy.config import prepare
from tests.dataplane.protocols.proxy.builders import DOMAIN, OPTIONS, WIKI, Outpost, Randomness


def refusals(*providers: ProxyProvider, **others: Resource) -> dict[str, str]:
    resources: dict[str, Resource] = {"options": OPTIONS, **others}
    resources |= {f"provider/{provider.id}": provider for provider in providers}
    return dict(prepare(Edit(changed=resources), "1.0", Randomness())[1])


def test_good_config_refuses_nothing() -> None:
    assert refusals(WIKI, DOMAIN) == {}


@pytest.mark.parametrize(
    ("provider", "reason"),
    [
        (replace(WIKI, mode=ProxyMode.PROXY), "mode proxy"),
        (replace(WIKI, external_host="wiki.example.com"), "scheme and host"),
        (replace(WIKI, external_host="https://wiki.example.com/path"), "more than scheme"),
        (replace(WIKI, external_host="https://u@wiki.example.com"), "scheme and host"),
        (replace(WIKI, external_host="https://wiki.example.com:99999999"), "scheme and host"),
        (replace(WIKI, external_host="https://[bad"), "scheme and host"),
        (replace(WIKI, session_keys=()), "no session key"),
        (replace(WIKI, session_keys=(SessionKey(id="k", secret=b"short"),)), "5 bytes"),
        (replace(WIKI, skip_path_regex=("(",)), "skip_path_regex"),
        (replace(DOMAIN, cookie_domain=""), "cookie_domain"),
        (replace(DOMAIN, cookie_domain="corp.test; Secure"), "cookie_domain"),
        (replace(DOMAIN, cookie_domain="other.test"), "outside cookie_domain"),
        (replace(DOMAIN, cookie_domain="orp.test"), "outside cookie_domain"),
    ],
)
def test_each_bad_provider_is_refused_with_its_reason(provider: ProxyProvider, reason: str) -> None:
    (refusal,) = refusals(provider).values()
    assert reason in refusal


def test_a_refused_provider_leaves_the_others_alone() -> None:
    resources: dict[str, Resource] = {
        "options": OPTIONS, "provider/a": replace(WIKI, session_keys=()), "provider/b": DOMAIN,
    }  # fmt: skip
    prepared, refused = prepare(Edit(changed=resources), "1.0", Randomness())
    assert list(refused) == ["provider/a"]
    assert [application.provider for application in prepared.routes.applications] == [DOMAIN]


def test_two_providers_can_not_have_one_host() -> None:
    assert "is served by provider 'Wiki provider' already" in refusals(WIKI, replace(WIKI, id="p9"))["provider/p9"]


def test_two_providers_can_not_have_one_domain() -> None:
    second = replace(DOMAIN, id="p9", external_host="https://login.corp.test")
    assert "cookie_domain corp.test" in refusals(DOMAIN, second)["provider/p9"]


def test_without_options_nothing_can_be_served() -> None:
    assert "options" in prepare(Edit(changed={"provider/p1": WIKI}), "1.0", Randomness())[1]["provider/p1"]


def certificate(chain: str, key: str) -> Certificate:
    return Certificate(id="c", name="web", chain=chain, private_key=key)


class TestCertificates:
    PAIR = self_signed(dt.datetime(2026, 1, 1, tzinfo=dt.UTC))

    def test_serve_their_providers_hosts(self) -> None:
        resources: dict[str, Resource] = {
            "options": OPTIONS,
            "certificate/c": certificate(*self.PAIR),
            "provider/p2": replace(DOMAIN, certificate="certificate/c"),
        }
        prepared, refused = prepare(Edit(changed=resources), "1.0", Randomness())
        assert not refused
        names = ("auth.corp.test", "corp.test", "*.corp.test", "*.test", "wiki.example.com", "*.example.com", "")
        served = {name for name in names if prepared.find_context(name) is not None}
        assert served == {"auth.corp.test", "corp.test", "*.corp.test"}

    @pytest.mark.parametrize("chain", ["", "rubbish", PAIR[1]])
    def test_bad_ones_are_refused_and_their_provider_is_served(self, chain: str) -> None:
        held = certificate(chain, self.PAIR[1])
        refused = refusals(replace(WIKI, certificate="certificate/c"), **{"certificate/c": held})
        assert list(refused) == ["certificate/c"]
        assert "'web'" in refused["certificate/c"]

    def test_a_key_of_another_certificate_is_refused(self) -> None:
        other = self_signed(dt.datetime(2026, 1, 1, tzinfo=dt.UTC))
        assert refusals(**{"certificate/c": certificate(self.PAIR[0], other[1])})

    def test_the_key_is_not_in_the_reason(self) -> None:
        (reason,) = refusals(**{"certificate/c": certificate("rubbish", self.PAIR[1])}).values()
        assert self.PAIR[1].splitlines()[1] not in reason


class TestAgain:
    """Compiling takes long and stops the worker; most changes are revocations."""

    RESOURCES: ClassVar[dict[str, Resource]] = {
        "options": OPTIONS,
        "provider/p1": replace(WIKI, certificate="certificate/c"),
        "provider/p2": DOMAIN,
        "certificate/c": certificate(*TestCertificates.PAIR),
    }
    OVER = Ended(session="s1", subject="", provider="", before=1.0, until=2e9)

    def values(self, **changes: Resource) -> list[tuple[object, object]]:
        """What each key became before and after the changes."""
        first, _ = prepare(Edit(changed=self.RESOURCES), "1.0", Randomness())
        # As they come from the pipe, should they come again: equal, not the same.
        again = {key: copy.deepcopy(resource) for key, resource in self.RESOURCES.items()} | changes
        second, refused = prepare(Edit(changed=again), "1.0", Randomness(), first)
        assert not refused
        assert set(second.routes.applications) == {
            each.value for key, each in second.compiled.items() if key.startswith("provider/")
        }
        return [(first.compiled[key].value, second.compiled[key].value) for key in sorted(first.compiled)]

    def test_a_revocation_compiles_nothing(self) -> None:
        assert all(before is after for before, after in self.values(**{"ended/session/s1": self.OVER}))

    def test_a_provider_is_compiled_alone(self) -> None:
        pairs = self.values(**{"provider/p1": replace(WIKI, name="Renamed")})
        assert [before is after for before, after in pairs] == [True, False, True]

    def test_a_certificate_is_compiled_alone(self) -> None:
        other = certificate(*self_signed(dt.datetime(2026, 1, 1, tzinfo=dt.UTC)))
        assert [before is after for before, after in self.values(**{"certificate/c": other})] == [False, True, True]

    def test_options_count_for_every_provider(self) -> None:
        pairs = self.values(options=replace(OPTIONS, outpost_name="other"))
        assert [before is after for before, after in pairs] == [True, False, False]

    def test_what_was_opened_stays_so(self) -> None:
        outpost = Outpost(WIKI)
        ask = {"Cookie": outpost.cookie()}
        outpost.check("traefik", "https://wiki.example.com/", ask)
        outpost.commit(**{"ended/session/s2": replace(self.OVER, session="s2")})
        assert outpost.check("traefik", "https://wiki.example.com/", ask).status == 200
        assert outpost.doors.metrics.cache == {"miss": 1, "hit": 1}
