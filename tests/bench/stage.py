"""The installation that is measured: control on the load's core, one outpost with one worker on the server's core."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from tests.bench.load import LOAD_CORE, SERVER_CORE, pinned
from tests.support.browser_http import Visitor
from tests.support.garrison import Garrison, Outpost, short_folder
from tests.support.peers import Echo
from tests.support.peers_dialects import Front, Ports
from tests.support.peers_http import Headers
from tests.support.peers_sites import Site, traefik

PASSWORD = "correct-horse-battery"


@dataclass(frozen=True, slots=True, kw_only=True)
class Stage:
    """What the measurements share."""

    folder: Path
    garrison: Garrison
    outpost: Outpost
    site: Site

    def sign_in(self) -> str:
        """A session's Cookie header."""
        visitor = Visitor()
        page = visitor.sign_in(self.site.url + "/", "alice", PASSWORD)
        assert page.status == 200, f"{page.status} {page.url}\n{page.text[:2000]}"
        return self.site.cookie_header(visitor)

    def question(self, cookies: str, path: str) -> Headers:
        """The headers of nginx's question for a browser's request: about 1 kB besides the cookie."""
        return [
            ("Host", f"{self.site.host}:{self.site.port}"),
            ("X-Original-URL", self.site.url + path),
            ("X-Forwarded-For", "192.0.2.7"),
            ("X-Forwarded-Proto", "http"),
            ("X-Forwarded-Host", f"{self.site.host}:{self.site.port}"),
            (
                "User-Agent",
                "Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/140.0 Safari/537.36",
            ),
            ("Accept", "text/html,application/xhtml+xml,application/xml;q=0.9,image/avif,image/webp,*/*;q=0.8"),
            ("Accept-Language", "en-GB,en;q=0.9,de;q=0.8"),
            ("Accept-Encoding", "gzip, deflate, br"),
            ("Sec-Fetch-Mode", "navigate"),
            ("Sec-Fetch-Site", "same-origin"),
            ("Sec-Fetch-Dest", "document"),
            ("Cookie", f"theme=dark; {cookies}"),
        ]


@contextmanager
def staged() -> Iterator[Stage]:
    """Start it, and end it whatever happens."""
    with short_folder() as folder:
        echo = Echo()
        garrison = Garrison(folder / "garrison", pinned=pinned(LOAD_CORE)).start()
        outpost = Outpost(garrison, "bench", folder / "bench", pinned=pinned(SERVER_CORE))
        front = Front(traefik(), Ports(outpost=outpost.http, application=echo.port))
        site = Site(provider="bench", host="bench.example.test", scheme="http", port=front.port)
        try:
            garrison.apply(_blueprint(site))
            outpost.environment = {"AUTHENTIK_HOST_BROWSER": garrison.url}
            yield Stage(folder=folder, garrison=garrison, outpost=outpost.start(), site=site)
            outpost.stop()
        finally:
            front.close()
            echo.close()
            garrison.stop()


def _blueprint(site: Site) -> dict[str, object]:
    groups = [f"group-{number:02}" for number in range(12)]
    return {
        "groups": [{"name": name} for name in groups],
        "users": [
            {
                "username": "alice",
                "name": "Alice Doe",
                "email": "alice@example.test",
                "password": PASSWORD,
                "groups": groups,
            }
        ],
        "providers": [
            {"name": "bench", "type": "proxy", "mode": "forward_single", "external_host": site.external_host}
        ],
        "applications": [{"slug": "bench", "name": "Bench", "provider": "bench", "bindings": [{"group": "group-00"}]}],
        "outposts": [{"name": "bench", "type": "proxy", "providers": ["bench"]}],
    }
