"""All pages, found by following links: they render, run no inline code, and show hostile names as text."""

import re
from collections import Counter
from collections.abc import Iterator

import pytest
from markupsafe import escape

from tests.support.deployments import fill_engine
from tests.support.markup import inline_code, links, tags
from tests.support.site import Site, fill
from tests.support.web import Browser

ID = re.compile(r"[0-9a-f]{8}-[0-9a-f-]{27}")
ENOUGH = 4
# How the addresses of forms end.
DIALOGS = {"new", "edit", "delete", "password", "drain", "rotate", "cancel", "again"}
HOSTILE = [
    "<script>alert(1)</script>",
    '"><img src=x onerror=alert(1)>',
    "'><svg/onload=alert(1)>",
    "</textarea></title><script>alert(1)</script>",
    "{{ 7*7 }}{% raw %}${7*7}",
    "javascript:alert(1)",
    "Ünï—cödé 𝔛 &lt;b&gt; &amp;",
]


def pages(browser: Browser) -> Iterator[tuple[str, str]]:
    """Each kind of page for a few objects: address and text."""
    seen: Counter[str] = Counter()
    waiting = ["/", "/admin/"]
    while waiting:
        url = waiting.pop()
        kind = ID.sub("ID", url)
        seen.update([url, kind])
        if seen[url] > 1 + (url == kind) or seen[kind] > ENOUGH or url.startswith(("/static", "/-/")):
            continue
        response = browser.get(url)
        # What only takes POST is a form's action, no page.
        assert response.status_code in {200, 405}, url
        if response.mimetype == "text/html" and response.status_code == 200:
            yield url, response.text
            waiting.extend(links(response.text))


def test_every_page_obeys_the_policy(site: Site) -> None:
    fill_engine(site.store, fill(site.store))
    found = dict(pages(site.admin))
    kinds = {ID.sub("ID", url).split("?")[0] for url in found}
    assert len(kinds) > 40
    assert {"/admin/outposts/ID/", "/admin/providers/ID/edit", "/admin/users/ID/password"} <= kinds
    for url, page in found.items():
        assert inline_code(page) == [], url
        assert page.count("<h1") == (0 if url.split("?")[0].endswith("/live") else 1), url


def test_every_dialog_obeys_the_policy(site: Site) -> None:
    fill_engine(site.store, fill(site.store))
    browser = site.admin
    for url, page in dict(pages(browser)).items():
        if (
            url.startswith("/admin/")
            and 'method="post"' in page
            and url not in {"/admin/providers/new", "/admin/integrations/new"}  # ask for a type, by links
            and url.split("?")[0].rsplit("/", 1)[-1] in DIALOGS
        ):
            fragment = browser.get(url, HX_Request="true", HX_Target="modal")
            assert fragment.status_code == 200
            assert fragment.text.lstrip().startswith('<form class="modal-content'), url
            assert f'action="{url}"' in fragment.text
            assert inline_code(fragment.text) == [], url


@pytest.mark.parametrize("name", HOSTILE)
def test_hostile_names_are_shown_as_text(site: Site, name: str) -> None:
    fill_engine(site.store, fill(site.store, name), name)
    shown = 0
    for url, page in pages(site.admin):
        assert inline_code(page) == [], url
        assert "<" not in name or name not in page, url
        assert "img" not in tags(page), url
        shown += str(escape(name)) in page
    assert shown > 10


def test_what_the_url_says_is_shown_as_text(site: Site) -> None:
    for url in ("/admin/users/?q=", "/admin/groups/?q=", "/?q=", "/sign-in?next="):
        page = site.admin.get(url + "%22%3E%3Cscript%3Ealert(1)%3C/script%3E").text
        assert "<script>alert" not in page
        assert inline_code(page) == []
