from dataclasses import replace

import pytest

from dataplane.config import Changed, Edit, Ended
from dataplane.revocations import Revocations
from tests.dataplane.protocols.proxy.builders import ALICE, NOW, WIKI, Outpost, session

MOMENT = NOW - 3600


def ended(session_: str = "", subject: str = "", provider: str = "", before: float = MOMENT + 1) -> Ended:
    return Ended(session=session_, subject=subject, provider=provider, before=before, until=NOW + 1e6)


def revocations(*entries: Ended | Changed) -> Revocations:
    made = Revocations()
    made.commit(Edit(changed={f"ended/{number}": entry for number, entry in enumerate(entries)}))
    return made


@pytest.mark.parametrize(
    ("entry", "over"),
    [
        (ended("s1"), True),
        (ended("s2"), False),
        (ended(subject="u1"), True),
        (ended(subject="u2"), False),
        (ended(provider="p1"), True),
        (ended(provider="p2"), False),
        (ended("s1", "u1", "p1"), True),
        (ended("s1", "u1", "p2"), False),
        (ended("s1", "u2"), False),
        (ended(), True),
        (ended("s1", before=MOMENT - 60), True),  # ids don't come again, and clocks differ
        (ended("s1", provider="p1", before=MOMENT), False),
        (ended(subject="u1", before=MOMENT), False),
        (ended(subject="u1", before=MOMENT - 1), False),
    ],
)
def test_every_field_set_has_to_match_and_the_sign_in_to_be_older(entry: Ended, over: bool) -> None:
    assert revocations(entry).is_ended(session(), "p1") is over


def test_the_latest_of_two_counts() -> None:
    both = [ended("s1", before=MOMENT + 5), ended("s1", before=MOMENT - 5)]
    assert revocations(*both).is_ended(session(), "p1")
    assert revocations(*both[::-1]).is_ended(session(), "p1")


def changed(at: float = NOW, denied: frozenset[str] = frozenset()) -> Changed:
    identity = replace(ALICE, username="alicia", groups=("guests",))
    return Changed(identity=identity, at=at, until=NOW + 1e6, denied_providers=denied)


class TestOverTheWholeOutpost:
    URL = "https://wiki.example.com/"

    def test_an_ended_session_passes_no_more_although_it_is_cached(self) -> None:
        outpost = Outpost(WIKI)
        cookie = {"Cookie": outpost.cookie()}
        assert outpost.check("traefik", self.URL, cookie).status == 200
        outpost.commit(**{"ended/session/s1": ended("s1")})
        assert outpost.check("traefik", self.URL, cookie).status == 302

    def test_a_new_sign_in_after_the_end_passes(self) -> None:
        outpost = Outpost(WIKI, resources={"ended/subject/u1": ended(subject="u1", before=NOW)})
        late = outpost.cookie(session(authenticated=NOW + 1))
        assert outpost.check("traefik", self.URL, {"Cookie": late}).status == 200

    def test_a_change_of_groups_shows_at_once(self) -> None:
        """GHSA-x883-2vmg-xwf7: a group change has to reach sessions that exist."""
        outpost = Outpost(WIKI)
        cookie = {"Cookie": outpost.cookie()}
        assert outpost.check("traefik", self.URL, cookie)["X-authentik-groups"] == "admins|staff"
        outpost.commit(**{"changed/u1": changed()})
        answer = outpost.check("traefik", self.URL, cookie)
        assert (answer["X-authentik-groups"], answer["X-authentik-username"]) == ("guests", "alicia")

    def test_access_withdrawn_shows_at_once(self) -> None:
        outpost = Outpost(WIKI)
        cookie = {"Cookie": outpost.cookie()}
        assert outpost.check("traefik", self.URL, cookie).status == 200
        outpost.commit(**{"changed/u1": changed(denied=frozenset({"p1"}))})
        answer = outpost.check("traefik", self.URL, {**cookie, "Accept": "text/html"})
        assert answer.status == 403
        assert b"alicia" in answer.body

    def test_a_later_sign_in_knows_better_than_the_change(self) -> None:
        outpost = Outpost(WIKI, resources={"changed/u1": changed(at=NOW)})
        late = outpost.cookie(session(authenticated=NOW + 1))
        assert outpost.check("traefik", self.URL, {"Cookie": late})["X-authentik-username"] == "alice"
