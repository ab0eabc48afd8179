"""The proxies that are measured, before one application: Garrison with and without its access log, nginx, HAProxy.

Each is pinned to the server's core and is alone there while it is asked; the application, an echo of WebSockets and
the load have the other one.
"""

import subprocess
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

from tests.bench.load import LOAD_CORE, SERVER_CORE, pinned
from tests.support.browser_http import Visitor
from tests.support.garrison import Garrison, Outpost
from tests.support.peers_http import ask
from tests.support.peers_program import Program, eventually, free_port, require
from tests.support.peers_sites import Site

PASSWORD = "correct-horse-battery"
AGENT = "Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/140.0 Safari/537.36"
SIZES = {"small": 128, "medium": 100_000, "large": 10_000_000}
OURS, QUIET, NGINX, HAPROXY = "Garrison", "Garrison, no access log", "nginx", "HAProxy"
CONNECTIONS = 4096
"""To the application, of which one client may have a quarter."""
SOURCE = Path(__file__).with_name("ws_load.c")
_FRAME = """
daemon off; worker_processes 1; pid {folder}/nginx.pid; error_log stderr error; user root; worker_rlimit_nofile 20000;
events {{ worker_connections 8192; }}
http {{
    access_log off; keepalive_requests 100000000; keepalive_timeout 300s; tcp_nodelay on;
    client_body_temp_path {folder}; proxy_temp_path {folder}; fastcgi_temp_path {folder};
    uwsgi_temp_path {folder}; scgi_temp_path {folder};
    large_client_header_buffers 4 16k;
    {text}
}}
"""
_APPLICATION = """
    sendfile on;
    server {{ listen 127.0.0.1:{port} backlog=4096; root {folder}/pages; }}
"""
_NGINX = """
    map $http_upgrade $passed_on {{ default upgrade; '' ''; }}
    upstream application {{ server 127.0.0.1:{application}; keepalive 64; keepalive_requests 100000000; }}
    upstream echo {{ server 127.0.0.1:{echo}; }}
    proxy_http_version 1.1;
    proxy_set_header Host $host;
    proxy_set_header X-Forwarded-For $proxy_add_x_forwarded_for;
    proxy_set_header Connection $passed_on;
    proxy_set_header Upgrade $http_upgrade;
    proxy_max_temp_file_size 0;
    proxy_buffers 8 32k;
    proxy_read_timeout 300s;
    server {{
        listen 127.0.0.1:{port} backlog=4096;
        location / {{ proxy_pass http://application; }}
        location /echo {{ proxy_pass http://echo; }}
    }}
"""
_HAPROXY = """
global
    nbthread 1
    maxconn 9000
defaults
    mode http
    timeout connect 5s
    timeout client 300s
    timeout server 300s
    timeout tunnel 300s
    http-reuse always
    option forwardfor
frontend front
    bind 127.0.0.1:{port} backlog 4096
    use_backend echo if {{ path /echo }}
    default_backend application
backend application
    server application 127.0.0.1:{application}
backend echo
    server echo 127.0.0.1:{echo}
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class Proxy:
    """One of them: where applications are reached through it, by name, and whose processor time it is."""

    port: int
    program: Program
    hosts: Mapping[str, str]
    cookies: Mapping[str, str]

    def request(self, path: str, application: str, *headers: tuple[str, str]) -> str:
        """A browser's request, the same for all of them but for host and cookie."""
        lines = [
            f"GET {path} HTTP/1.1",
            f"Host: {self.hosts[application]}",
            f"User-Agent: {AGENT}",
            "Accept: text/html,application/xhtml+xml,application/xml;q=0.9,image/avif,image/webp,*/*;q=0.8",
            "Accept-Language: en-GB,en;q=0.9,de;q=0.8",
            *(f"{name}: {value}" for name, value in headers),
            f"Cookie: theme=dark; {self.cookies[application]}",
            "",
            "",
        ]
        return "\r\n".join(lines)


def compiled(folder: Path) -> Path:
    program = folder / "ws_load"
    flags = ["-O2", "-Wall", "-Wextra", "-Werror", "-D_GNU_SOURCE"]
    subprocess.run([require("gcc", "gcc"), *flags, "-o", str(program), str(SOURCE)], check=True, timeout=60)
    return program


@contextmanager
def served(folder: Path) -> Iterator[dict[str, Proxy]]:
    """All proxies before one application and one echo of WebSockets."""
    application, echo = free_port(), free_port()
    with ExitStack() as stack:
        stack.callback(_start_application(folder, application).stop)
        echoing = Program("echo", [*pinned(LOAD_CORE), str(compiled(folder)), "echo", str(echo)])
        stack.callback(echoing.kill)
        ours = stack.enter_context(_outposts(folder, application, echo))
        hosts = {"application": "bench.example.test", "echo": "bench.example.test"}
        cookies = ours[OURS].cookies
        nginx, haproxy = free_port(), free_port()
        others = {
            NGINX: Proxy(
                port=nginx,
                program=start_nginx(folder / "nginx", nginx, _NGINX, application=application, echo=echo),
                hosts=hosts,
                cookies=cookies,
            ),
            HAPROXY: Proxy(
                port=haproxy, program=_start_haproxy(folder, haproxy, application, echo), hosts=hosts, cookies=cookies
            ),
        }
        for proxy in others.values():
            stack.callback(proxy.program.kill)
        for proxy in (*ours.values(), *others.values()):
            _assert_serves(proxy)
        yield {**ours, **others}


def _assert_serves(proxy: Proxy) -> None:
    for size, expected in SIZES.items():
        headers = [("Cookie", proxy.cookies["application"])]
        answer = ask(proxy.port, f"/{size}", host=proxy.hosts["application"], headers=headers)
        assert (answer.status, len(answer.body)) == (200, expected), f"{proxy.program.name}: {answer.status}"


def start_nginx(folder: Path, port: int, text: str, core: int = SERVER_CORE, **ports: int) -> Program:
    """nginx with one worker on a core."""
    folder.mkdir(exist_ok=True)
    config = folder / "nginx.conf"
    config.write_text(_FRAME.format(folder=folder, text=text.format(folder=folder, port=port, **ports)))
    command = [*pinned(core), require("nginx", "nginx-light"), "-p", str(folder), "-c", str(config), "-e", "stderr"]
    program = Program("nginx", command)
    eventually(lambda: ask(port, "/small").status == 200, "nginx answers", alive=program)
    return program


def _start_application(folder: Path, port: int) -> Program:
    """nginx with files of the sizes, on the load's core."""
    pages = folder / "application" / "pages"
    pages.mkdir(parents=True)
    for name, size in SIZES.items():
        (pages / name).write_bytes(b"x" * size)
    return start_nginx(folder / "application", port, _APPLICATION, LOAD_CORE)


def _start_haproxy(folder: Path, port: int, application: int, echo: int) -> Program:
    config = folder / "haproxy.cfg"
    config.write_text(_HAPROXY.format(port=port, application=application, echo=echo))
    program = Program("haproxy", [*pinned(SERVER_CORE), require("haproxy", "haproxy"), "-db", "-f", str(config)])
    eventually(lambda: ask(port, "/small").status == 200, "HAProxy answers", alive=program)
    return program


@contextmanager
def _outposts(folder: Path, application: int, echo: int) -> Iterator[dict[str, Proxy]]:
    """Two of one worker each: one that writes an access log, one that doesn't."""
    garrison = Garrison(folder / "garrison", pinned=pinned(LOAD_CORE)).start()
    environment = {"AUTHENTIK_HOST_BROWSER": garrison.url}
    outposts = {
        name: Outpost(garrison, name, folder / name, pinned=pinned(SERVER_CORE), environment=environment)
        for name in ("logged", "quiet")
    }
    upstreams = {"application": application, "echo": echo}
    try:
        sites = {
            (name, each): Site(
                provider=f"{name}-{each}", host=f"{name}-{each}.example.test", scheme="http", port=outpost.http,
                mode="proxy",
            )
            for name, outpost in outposts.items()
            for each in upstreams
        }  # fmt: skip
        garrison.apply(_blueprint(sites, upstreams))
        for outpost in outposts.values():
            outpost.start()
        yield {
            title: Proxy(
                port=outposts[name].http,
                program=outposts[name].program,
                hosts={each: f"{sites[name, each].host}:{outposts[name].http}" for each in upstreams},
                cookies={each: _sign_in(sites[name, each]) for each in upstreams},
            )
            for title, name in ((OURS, "logged"), (QUIET, "quiet"))
        }
        for outpost in outposts.values():
            outpost.stop()
    finally:
        garrison.stop()


def _sign_in(site: Site) -> str:
    visitor = Visitor()
    visitor.sign_in(f"{site.url}/outpost.goauthentik.io/start?rd=/outpost.goauthentik.io/ping", "alice", PASSWORD)
    cookies = site.cookie_header(visitor)
    assert cookies, f"no session at {site.url}"
    return cookies


def _blueprint(sites: Mapping[tuple[str, str], Site], upstreams: Mapping[str, int]) -> dict[str, object]:
    groups = [f"group-{number:02}" for number in range(12)]
    person = {"username": "alice", "name": "Alice Doe", "email": "alice@example.test", "password": PASSWORD}
    return {
        "groups": [{"name": name} for name in groups],
        "users": [{**person, "groups": groups}],
        "providers": [
            {
                "name": site.provider, "type": "proxy", "mode": "proxy", "external_host": site.external_host,
                "internal_host": f"http://127.0.0.1:{upstreams[each]}", "internal_host_connections": CONNECTIONS,
            }
            for (_, each), site in sites.items()
        ],
        "applications": [
            {"slug": site.provider, "name": site.provider, "provider": site.provider,
             "bindings": [{"group": "group-00"}]}
            for site in sites.values()
        ],
        "outposts": [
            {
                "name": name, "type": "proxy",
                "providers": [site.provider for (outpost, _), site in sites.items() if outpost == name],
                "config": {"garrison_access_log": level},
            }
            for name, level in (("logged", "all"), ("quiet", "nothing"))
        ],
    }  # fmt: skip
