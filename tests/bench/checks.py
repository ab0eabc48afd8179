"""Forward-auth checks a second on one core with a valid session, beside nginx `return 200` on the same core."""

from dataclasses import dataclass
from pathlib import Path

from tests.bench.load import SECONDS, SERVER_CORE, Run, pinned, write_script, wrk
from tests.bench.samples import median
from tests.bench.stage import Stage
from tests.support.peers_http import Headers, ask
from tests.support.peers_program import Program, eventually, free_port, require

ROUNDS = 5
SESSIONS = 40
QUESTION = "/outpost.goauthentik.io/auth/nginx"
NUMBER = "NUMBER"
_NGINX = """
daemon off; worker_processes 1; pid {folder}/nginx.pid; error_log stderr error; user root;
events {{ worker_connections 512; }}
http {{
    access_log off; keepalive_requests 100000000;
    client_body_temp_path {folder}; proxy_temp_path {folder}; fastcgi_temp_path {folder};
    uwsgi_temp_path {folder}; scgi_temp_path {folder};
    large_client_header_buffers 4 16k;
    server {{ listen 127.0.0.1:{port}; location / {{ return 200; }} }}
}}
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class Checks:
    """All runs of one kind of load, alternated: ours, nginx, ours, nginx, ..."""

    ours: list[Run]
    nginx: list[Run]

    @property
    def ratio(self) -> float:
        """Our rate over nginx's, of the medians."""
        return median([run.rate for run in self.ours]) / median([run.rate for run in self.nginx])

    @property
    def cost(self) -> float:
        """Our processor time a request over nginx's."""
        return median([run.cpu for run in self.ours]) / median([run.cpu for run in self.nginx])


@dataclass(frozen=True, slots=True, kw_only=True)
class Loads:
    """Many sessions and ever new addresses, and one request again and again."""

    varied: Checks
    repeated: Checks
    request_bytes: int


def measure(stage: Stage) -> Loads:
    """Alternate ours and nginx under each load; the first run of each only warms up."""
    questions = [stage.question(stage.sign_in(), f"/page/{NUMBER}") for _ in range(SESSIONS)]
    _assert_passes(stage, questions[0])
    texts = [request_text(headers) for headers in questions]
    many = write_script(stage.folder / "varied.lua", [split(text) for text in texts])
    one = write_script(stage.folder / "repeated.lua", [split(texts[0])])
    nginx, port = start_nginx(stage.folder)
    servers = [(stage.outpost.http, stage.outpost.program.process.pid), (port, nginx.process.pid)]
    runs = [(server, script) for script in (many, one) for server in servers]
    rounds = [[wrk(at, script, session) for (at, session), script in runs] for _ in range(ROUNDS + 1)]
    nginx.stop()
    columns = [list(column) for column in zip(*rounds[1:], strict=True)]
    return Loads(
        varied=Checks(ours=columns[0], nginx=columns[1]),
        repeated=Checks(ours=columns[2], nginx=columns[3]),
        request_bytes=len(texts[0]),
    )


def _assert_passes(stage: Stage, headers: Headers) -> None:
    own = [(name, value) for name, value in headers if name != "Host"]
    answer = ask(stage.outpost.http, QUESTION, host=dict(headers)["Host"], headers=own)
    assert (answer.status, answer.header("X-authentik-username")) == (200, "alice"), (
        f"{answer.status} {answer.text[:500]}"
    )


def request_text(headers: Headers) -> str:
    """nginx's question as it goes over the wire."""
    return "\r\n".join([f"GET {QUESTION} HTTP/1.1", *(f"{name}: {value}" for name, value in headers), "", ""])


def split(text: str) -> tuple[str, str]:
    """What stands before and behind the number in the address."""
    before, found, after = text.partition(NUMBER)
    assert found, "the request has no place for a number"
    return before, after


def start_nginx(folder: Path) -> tuple[Program, int]:
    """nginx with one worker on the server's core that answers 200 to anything."""
    own, port = folder / "nginx", free_port()
    own.mkdir()
    config = own / "nginx.conf"
    config.write_text(_NGINX.format(folder=own, port=port))
    command = [*pinned(SERVER_CORE), require("nginx", "nginx-light"), "-p", str(own), "-c", str(config), "-e", "stderr"]
    program = Program("nginx", command)
    eventually(lambda: ask(port, "/").status == 200, "nginx answers", alive=program)
    return program, port


def minutes() -> float:
    """How long it takes, about."""
    return 4 * (ROUNDS + 1) * SECONDS / 60
