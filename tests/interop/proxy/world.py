"""Applications behind an outpost in mode proxy: one installation, one outpost, and servers of many kinds behind it.

An application is called as its provider, and its host is NAME.example.test; `applications` says how each is reached.
alice may use all of them, root too and is told what went wrong, bob none.
"""

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from tests.interop.world import PASSWORD, World, people
from tests.support.browser_http import Visitor
from tests.support.fake_authority import Authority, tls_context
from tests.support.garrison import Garrison, Outpost
from tests.support.peers import Echo, start_nginx
from tests.support.peers_program import free_port
from tests.support.peers_sites import Site
from tests.support.upstreams import ApacheTls, Scripted, WebSockets, start_apache, start_gunicorn, start_ws

INTERNAL = "app.internal.test"
"""The name in the certificates of the applications with TLS."""
SKIP = "^/public/"
GUESTS = 16
"""People of the staff for tests that end what somebody has open, made before in one go."""
NGINX = """
server {{
    listen 127.0.0.1:{port};
    root {folder};
    default_type text/plain;
    absolute_redirect on;
    port_in_redirect on;
    location /tenant {{ return 200 "$uri of the tenant's\n"; }}
    location /other {{ return 200 "$uri of another's\n"; }}
    location /answer {{ return 200 "$request_method $request_uri $http_host $http_x_authentik_username\\n"; }}
}}
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class Ports:
    """Where the applications listen; nobody does at `nobody`, and at `killed` while a test wants it."""

    gunicorn: int = field(default_factory=free_port)
    apache: int = field(default_factory=free_port)
    tls: int = field(default_factory=free_port)
    mutual: int = field(default_factory=free_port)
    nginx: int = field(default_factory=free_port)
    ws: int = field(default_factory=free_port)
    killed: int = field(default_factory=free_port)
    nobody: int = field(default_factory=free_port)


@dataclass
class ProxyWorld(World):
    """Everything started once. `scripted` does what a test says, `restarted` is there when a test starts it."""

    ports: Ports = field(default_factory=Ports)
    scripted: Scripted = field(default_factory=Scripted)
    restarted: Scripted = field(default_factory=Scripted)
    authority: Authority = field(default_factory=Authority)
    websockets: WebSockets = field(default_factory=WebSockets)
    secure_websockets: WebSockets = field(init=False)
    sessions: dict[str, str] = field(default_factory=dict)
    guests: list[str] = field(default_factory=lambda: [f"guest{number}" for number in range(GUESTS)])

    def __post_init__(self) -> None:
        self.secure_websockets = WebSockets(tls_context(self.authority.issue(INTERNAL)))

    @property
    def pages(self) -> Path:
        """What Apache serves."""
        return self.folder / "apache" / "pages"

    def cookies(self, name: str) -> str:
        """The Cookie header of alice's session at an application, which nobody may end."""
        if name not in self.sessions:
            self.sessions[name] = self.session(name, "alice")
        return self.sessions[name]

    def session(self, name: str, username: str) -> str:
        """That of a new session; the application isn't asked for anything."""
        site = self.sites[name]
        visitor = Visitor()
        page = visitor.sign_in(
            f"{site.url}/outpost.goauthentik.io/start?rd=/outpost.goauthentik.io/ping", username, PASSWORD
        )
        assert page.status == 204, f"{page.status} {page.url}\n{page.text[:2000]}"
        return site.cookie_header(visitor)

    def close(self) -> None:
        """End all; everything must end cleanly."""
        self.scripted.stop()
        self.restarted.stop()
        self.websockets.close()
        self.secure_websockets.close()
        super().close()


def applications(world: ProxyWorld) -> dict[str, dict[str, Any]]:
    """The providers' fields, by name."""
    ports, scripted = world.ports, f"http://127.0.0.1:{world.scripted.port}"
    impatient = {
        "internal_host_connect_timeout": "seconds=1",
        "internal_host_response_timeout": "seconds=1",
        "internal_host_idle_timeout": "seconds=1",
    }
    return {
        "gunicorn": {"internal_host": f"http://127.0.0.1:{ports.gunicorn}"},
        "socket": {"internal_host": f"unix://{world.folder}/gunicorn/app.sock"},
        "apache": {"internal_host": f"http://127.0.0.1:{ports.apache}"},
        "nginx": {"internal_host": f"http://127.0.0.1:{ports.nginx}"},
        "tenant": {"internal_host": f"http://127.0.0.1:{ports.nginx}/tenant"},
        "ws": {"internal_host": f"http://127.0.0.1:{ports.ws}"},
        "websockets": {"internal_host": f"http://127.0.0.1:{world.websockets.port}"},
        "scripted": {"internal_host": scripted},
        "impatient": {"internal_host": scripted, **impatient},
        "restarted": {"internal_host": f"http://127.0.0.1:{world.restarted.port}"},
        "killed": {"internal_host": f"http://127.0.0.1:{ports.killed}"},
        "brief": {"internal_host": f"http://127.0.0.1:{world.websockets.port}", "access_token_validity": "seconds=3"},
        "nobody": {"internal_host": f"http://127.0.0.1:{ports.nobody}"},
        "secure": {"internal_host": f"http://127.0.0.1:{ports.gunicorn}", "certificate": "secure"},
        **_otherwise(world),
        **_over_tls(world),
    }


def _otherwise(world: ProxyWorld) -> dict[str, dict[str, Any]]:
    """Those that are reached, or told of requests, in other ways than usual."""
    ports, echo = world.ports, f"http://127.0.0.1:{world.echo.port}"
    return {
        "echo": {"internal_host": echo, "skip_path_regex": SKIP},
        "deep": {"internal_host": f"{echo}/base/path"},
        "below": {"internal_host": f"http://127.0.0.1:{ports.gunicorn}/base"},
        "several": {"internal_host": f"http://127.0.0.1:{ports.nobody} {echo}"},
        "named": {"internal_host": echo.replace("127.0.0.1", "localhost")},
        "host": {"internal_host": echo, "internal_host_header": "wiki.internal.test:8080"},
        "careful": {"internal_host": f"http://127.0.0.1:{ports.gunicorn}", "security_headers": True},
        "basic": {
            "internal_host": echo,
            "basic_auth_enabled": True,
            "basic_auth_user_attribute": "wiki_user",
            "basic_auth_password_attribute": "wiki_password",
        },
    }


def _over_tls(world: ProxyWorld) -> dict[str, dict[str, Any]]:
    """Those that are reached over TLS, or can't be."""
    tls = {
        "internal_host": f"https://127.0.0.1:{world.ports.tls}",
        "internal_host_server_name": INTERNAL,
        "internal_host_authorities": "authority",
    }
    mutual = {**tls, "internal_host": f"https://127.0.0.1:{world.ports.mutual}"}
    return {
        "tls": tls,
        "tls-wrong-name": {**tls, "internal_host_server_name": "other.internal.test"},
        "tls-unknown": {**tls, "internal_host_authorities": ""},
        "tls-unverified": {**tls, "internal_host_authorities": "", "internal_host_ssl_validation": False},
        "mutual": {**mutual, "internal_host_certificate": "client"},
        "mutual-without": mutual,
        "wss": {**tls, "internal_host": f"https://127.0.0.1:{world.secure_websockets.port}"},
    }


def blueprint(world: ProxyWorld) -> dict[str, Any]:
    """All of it for `garrison apply`."""
    known, authority = people(), world.authority
    client, secure = authority.issue("garrison-outpost"), authority.issue("secure.example.test")
    providers = [
        {"name": name, "type": "proxy", "mode": "proxy", "external_host": world.sites[name].external_host, **given}
        for name, given in applications(world).items()
    ]
    return {
        "groups": [*known["groups"], {"name": "admins", "superuser": True}],
        "users": [
            *known["users"],
            {"username": "root", "password": PASSWORD, "groups": ["admins", "staff"]},
            *({"username": name, "password": PASSWORD, "groups": ["staff"]} for name in world.guests),
        ],
        "certificates": [
            {"name": "authority", "certificate": authority.pem},
            {"name": "client", "certificate": client.certificate, "key": client.key},
            {"name": "secure", "certificate": secure.certificate, "key": secure.key},
        ],
        "providers": providers,
        "applications": [
            {"slug": each["name"], "name": str(each["name"]).title(), "provider": each["name"],
             "bindings": [{"group": "staff"}]}
            for each in providers
        ],
        "outposts": [{"name": "edge", "type": "proxy", "providers": [each["name"] for each in providers]}],
    }  # fmt: skip


def build(folder: Path) -> ProxyWorld:
    """Start everything."""
    folder.chmod(0o755)  # Apache is not root
    garrison = Garrison(folder / "garrison").start()
    outpost = Outpost(
        garrison,
        "edge",
        folder / "edge",
        workers=2,
        https=free_port(),
        environment={"AUTHENTIK_HOST_BROWSER": garrison.url},
    )
    world = ProxyWorld(folder=folder, garrison=garrison, outpost=outpost, echo=Echo(), sites={})
    for name in applications(world):
        scheme, port = ("https", outpost.https or 0) if name == "secure" else ("http", outpost.http)
        world.sites[name] = Site(provider=name, host=f"{name}.example.test", scheme=scheme, port=port, mode="proxy")
    world.scripted.start()
    start_programs(world)
    garrison.apply(blueprint(world))
    outpost.start()
    return world


def start_programs(world: ProxyWorld) -> None:
    """Servers of other people."""
    folder, ports, authority = world.folder, world.ports, world.authority
    pair = authority.issue(INTERNAL)
    secure = [ApacheTls(port=ports.tls, pair=pair), ApacheTls(port=ports.mutual, pair=pair, client=authority)]
    (folder / "nginx" / "folder").mkdir(parents=True)
    world.programs += [
        start_gunicorn(folder / "gunicorn", ports.gunicorn, folder / "gunicorn" / "app.sock"),
        start_apache(folder / "apache", ports.apache, secure),
        start_nginx(folder / "nginx", NGINX.format(port=ports.nginx, folder=folder / "nginx"), [ports.nginx]),
        start_ws(ports.ws),
    ]
