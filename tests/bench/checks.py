"""Forward-auth checks a second on one core with a valid session, beside nginx `return 200` on the same core."""

from dataclasses import dataclass
from pathlib import Path

from tests.bench.load import SECONDS, SERVER_CORE, Run, pinned, wrk
from tests.bench.samples import median
from tests.bench.stage import Stage
from tests.support.peers_http import ask
from tests.support.peers_program import Program, eventually, free_port, require

ROUNDS = 7
QUESTION = "/outpost.goauthentik.io/auth/nginx"
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
    """All runs, alternated: ours, nginx, ours, nginx, ..."""

    ours: list[Run]
    nginx: list[Run]
    request_bytes: int

    @property
    def ratio(self) -> float:
        """Our rate over nginx's, of the medians."""
        return median([run.rate for run in self.ours]) / median([run.rate for run in self.nginx])

    @property
    def cost(self) -> float:
        """Our processor time a request over nginx's."""
        return median([run.cpu for run in self.ours]) / median([run.cpu for run in self.nginx])


def measure(stage: Stage) -> Checks:
    """Alternate the two; the first run of each only warms up."""
    headers = stage.question(stage.sign_in())
    own = [(name, value) for name, value in headers if name != "Host"]
    answer = ask(stage.outpost.http, QUESTION, host=dict(headers)["Host"], headers=own)
    assert (answer.status, answer.header("X-authentik-username")) == (200, "alice"), (
        f"{answer.status} {answer.text[:500]}"
    )
    nginx, port = start_nginx(stage.folder)
    targets = [
        (f"http://127.0.0.1:{stage.outpost.http}{QUESTION}", stage.outpost.program.process.pid),
        (f"http://127.0.0.1:{port}{QUESTION}", nginx.process.pid),
    ]
    rounds = [[wrk(url, headers, session) for url, session in targets] for _ in range(ROUNDS + 1)][1:]
    nginx.stop()
    size = sum(len(name) + len(value) + 4 for name, value in headers) + len(QUESTION) + 17
    return Checks(ours=[ours for ours, _ in rounds], nginx=[theirs for _, theirs in rounds], request_bytes=size)


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
    return 2 * (ROUNDS + 1) * SECONDS / 60
