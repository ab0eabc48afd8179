"""What the browser tests share: an installation, an outpost behind nginx with two applications, and a third to deploy.

`wiki` and `board` are served by the outpost `edge`; `shop` waits for the one that a test creates in the interface.
"""

from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

from playwright.sync_api import Page, expect

from tests.support.garrison import ADMIN, ADMIN_PASSWORD, Garrison, Outpost
from tests.support.peers import Echo, start_nginx
from tests.support.peers_program import Program, free_port
from tests.support.peers_sites import Addresses, Site, nginx_server, shared_map
from tests.support.peers_tls import self_signed

PASSWORD = "correct-horse-battery"


@dataclass
class Stage:
    """Everything started once."""

    folder: Path
    garrison: Garrison
    outpost: Outpost
    nginx: Program
    echo: Echo
    sites: dict[str, Site]
    shop_port: int

    @property
    def hosts(self) -> list[str]:
        """The names that browsers may talk to."""
        return [self.garrison.host, *(site.host for site in self.sites.values())]

    def sign_in(self, page: Page, path: str = "/admin/") -> None:
        """The administrator signs in at Garrison."""
        page.goto(self.garrison.url + path)
        fill_sign_in(page, ADMIN, ADMIN_PASSWORD)
        expect(page).to_have_url(self.garrison.url + path)

    def close(self) -> None:
        """End all; everything must end cleanly."""
        self.nginx.stop()
        self.echo.close()
        self.outpost.stop()
        self.garrison.stop()


def fill_sign_in(page: Page, username: str, password: str = PASSWORD) -> None:
    """Fill in the sign-in page and send it."""
    page.get_by_label("Username").fill(username)
    page.get_by_label("Password", exact=True).fill(password)
    page.get_by_role("button", name="Sign in").click()


def build(folder: Path) -> Stage:
    """Start everything."""
    garrison = Garrison(folder / "garrison").start()
    outpost = Outpost(garrison, "edge", folder / "edge", environment={"AUTHENTIK_HOST_BROWSER": garrison.url})
    port, shop_port, echo = free_port(), free_port(), Echo()
    names = ("wiki", "board", "shop")
    sites = {name: Site(provider=name, host=f"{name}.example.test", scheme="https", port=port) for name in names}
    garrison.apply(blueprint(sites))
    outpost.start()
    certificate = self_signed(folder, "*.example.test")
    addresses = {"wiki": outpost.address, "board": outpost.address, "shop": f"127.0.0.1:{shop_port}"}
    servers = [
        nginx_server(
            site, Addresses(outpost=addresses[name], application=f"127.0.0.1:{echo.port}", certificate=certificate)
        )
        for name, site in sites.items()
    ]
    nginx = start_nginx(folder / "nginx", shared_map(servers), [urlsplit(sites["wiki"].url).port or 443])
    return Stage(
        folder=folder, garrison=garrison, outpost=outpost, nginx=nginx, echo=echo, sites=sites, shop_port=shop_port
    )


def blueprint(sites: dict[str, Site]) -> dict[str, object]:
    """Three applications for the staff; alice is of the staff, bob is not."""
    return {
        "groups": [{"name": "staff"}],
        "users": [
            {"username": "alice", "name": "Alice Doe", "password": PASSWORD, "groups": ["staff"]},
            {"username": "bob", "name": "Bob", "password": PASSWORD},
        ],
        "providers": [
            {"name": name, "type": "proxy", "mode": "forward_single", "external_host": site.external_host}
            for name, site in sites.items()
        ],
        "applications": [
            {"slug": name, "name": name.title(), "provider": name, "bindings": [{"group": "staff"}]} for name in sites
        ],
        "outposts": [{"name": "edge", "type": "proxy", "providers": ["wiki", "board"]}],
    }  # fmt: skip
