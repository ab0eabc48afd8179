"""Long lists of outposts and instances: searched, narrowed, a page at a time, and cheap to poll."""

from html.parser import HTMLParser

import pytest

from control.domain.outpost import InstanceState, Outpost
from control.fleet.outposts import create_outpost
from tests.support.site import Site, fill, instance
from tests.support.stores import ADMIN

LIST = "/admin/outposts/"


class _Names(HTMLParser):
    """The texts of links whose id begins with a prefix."""

    def __init__(self, prefix: str) -> None:
        super().__init__()
        self.found: list[str] = []
        self._prefix, self._inside = prefix, False

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        values = dict(attrs)
        marked = (values.get("id") or "").removeprefix(self._prefix)
        self._inside = tag == "a" and len(marked) == 36

    def handle_data(self, data: str) -> None:
        if self._inside:
            self.found.append(data)
            self._inside = False


def names(page: str, prefix: str) -> list[str]:
    parser = _Names(prefix)
    parser.feed(page)
    return parser.found


def outposts(site: Site, url: str) -> list[str]:
    return names(site.admin.get(url).text, "outpost-")


def instances(site: Site, url: str) -> list[str]:
    return names(site.admin.get(url).text, "instance-")


def with_many(site: Site, count: int) -> Outpost:
    """An outpost with instances node-000 and on; each tenth is gone."""
    with site.store.write(ADMIN) as unit:
        outpost = create_outpost(unit, {"name": "many", "type": "proxy"})
        states = [InstanceState.DISCONNECTED, *[InstanceState.CONNECTED] * 9]
        unit.instances.save(
            instance(outpost.id, unit.now, hostname=f"node-{number:03}", state=states[number % 10], rejections=())
            for number in range(count)
        )
    return outpost


def test_pages_of_outposts(site: Site) -> None:
    with site.store.write(ADMIN) as unit:
        for number in range(53):
            create_outpost(unit, {"name": f"site-{number:02}", "type": "proxy"})
    first, second = outposts(site, LIST), outposts(site, f"{LIST}?page=2")
    assert (len(first), second[-1]) == (50, "site-52")
    assert len({*first, *second}) == 54, "the embedded one too"
    assert outposts(site, f"{LIST}?page=99") == second
    assert outposts(site, f"{LIST}?q=SITE-0") == [f"site-0{number}" for number in range(10)]
    page = site.admin.get(f"{LIST}?page=2&q=site").text
    assert f'hx-get="{LIST}live?page=2&amp;q=site"' in page, "the poll keeps to the page"
    assert f'href="{LIST}?page=1&amp;q=site"' in page


def test_what_the_poll_answers_is_the_page(site: Site) -> None:
    with_many(site, 3)
    for query in ("", "?q=many", "?standing=disconnected", "?standing=none"):
        assert outposts(site, f"{LIST}{query}") == outposts(site, f"{LIST}live{query}")


@pytest.mark.parametrize(
    ("wanted", "expected"),
    [
        ("healthy", ["many"]),
        ("disconnected", ["many"]),
        ("faulty", ["edge"]),
        ("draining", []),
        ("none", ["Embedded outpost"]),
        ("nonsense", ["Embedded outpost", "edge", "many"]),
    ],
)
def test_outposts_by_the_standing_of_their_instances(site: Site, wanted: str, expected: list[str]) -> None:
    with_many(site, 10)
    fill(site.store)
    assert outposts(site, f"{LIST}?standing={wanted}") == expected


def test_an_empty_answer_leads_back(site: Site) -> None:
    page = site.admin.get(f"{LIST}?q=nowhere").text
    assert "No outpost matches “nowhere”" in page
    assert f'href="{LIST}"' in page
    assert "No outpost has such an instance" in site.admin.get(f"{LIST}?standing=draining").text


def test_pages_of_instances(site: Site) -> None:
    url = f"{LIST}{with_many(site, 45).id}/"
    first, last = instances(site, url), instances(site, f"{url}?page=3")
    assert (len(first), len(last)) == (20, 5)
    assert last == [f"node-{number:03}" for number in range(0, 50, 10)], "those that are gone stand last"
    assert instances(site, f"{url}live?page=3") == last
    assert instances(site, f"{url}?q=node-04") == ["node-041", "node-042", "node-043", "node-044", "node-040"]
    assert instances(site, f"{url}?standing=disconnected") == last


def test_the_instances_are_counted_by_standing(site: Site) -> None:
    url = f"{LIST}{with_many(site, 45).id}/"
    page = site.admin.get(f"{url}live?standing=disconnected").text
    for words in ("All <strong>45", "Healthy <strong>40", "Disconnected <strong>5"):
        assert words in page
    assert "Draining" not in page
    assert page.count('aria-current="true"') == 1
    assert "88 % healthy" in page


def test_nearly_all_is_not_all(site: Site) -> None:
    with site.store.write(ADMIN) as unit:
        outpost = create_outpost(unit, {"name": "big", "type": "proxy"})
        made = [instance(outpost.id, unit.now, rejections=()) for _ in range(299)]
        unit.instances.save([*made, instance(outpost.id, unit.now)])
    assert "99 % healthy" in site.admin.get(f"{LIST}{outpost.id}/live").text


@pytest.mark.parametrize("noun", ["providers", "applications", "tokens", "groups"])
def test_other_lists_are_searched_too(site: Site, noun: str) -> None:
    fill(site.store, "needle")
    fill(site.store, "straw")
    page = site.admin.get(f"/admin/{noun}/?q=NEEDLE").text
    assert "needle" in page
    assert "straw" not in page
    empty = site.admin.get(f"/admin/{noun}/?q=nowhere").text
    assert f"No {noun.removesuffix('s')} matches “nowhere”" in empty
    assert f'href="/admin/{noun}/"' in empty
