"""The image of the outpost, built as `make image` builds it and started as its page in the admin interface says."""

import html
import re
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.browser_http import Visitor
from tests.support.engine import GATEWAY, Engine, running_engine
from tests.support.garrison import ADMIN, ADMIN_PASSWORD, Garrison, short_folder
from tests.support.peers_program import eventually, free_port

# Debian's base system and the image itself are built first.
pytestmark = [pytest.mark.interop, pytest.mark.timeout(420)]
ROOT = Path(__file__).parents[2]
NAME, IMAGE = "ak-outpost-edge", "garrison-outpost:0.1.0"
OWNER, PRIVATE = 65532, 0o700


@pytest.fixture(scope="module")
def engine() -> Iterator[Engine]:
    """An engine that has the image."""
    with short_folder() as folder, running_engine(folder) as engine:
        engine.run("make", "image", f"ARGS=--quiet {engine.build_arguments()}", folder=ROOT)
        yield engine


@pytest.fixture
def garrison(folder: Path) -> Iterator[Garrison]:
    """An installation that containers reach, with an outpost `edge` that is to be deployed."""
    http, link = free_port(), free_port()
    flags = ["--http", f":{http}", "--link", f":{link}"]
    garrison = Garrison(folder / "garrison", flags=flags, host=GATEWAY, http=http, link=link).start()
    # The ports of the container itself will do: those of this machine may be taken.
    config = {"docker_map_ports": False, "docker_labels": {"team": "it's $HOME"}}
    garrison.apply({"outposts": [{"name": "edge", "type": "proxy", "config": config}]})
    yield garrison
    garrison.stop()


def shown(garrison: Garrison, snippet: str) -> str:
    """A snippet of the outpost's page, as the administrator copies it."""
    visitor = Visitor()
    page = visitor.sign_in(f"{garrison.url}/admin/outposts/", ADMIN, ADMIN_PASSWORD)
    link = re.search(r'href="(/admin/outposts/[0-9a-f-]{36}/)"[^>]*>edge<', page.text)
    assert link, page.text
    page = visitor.get(garrison.url + link[1])
    # The snippets hold the token once it is asked for.
    csrf = page.form("csrf_token").fields
    page = visitor.post(f"{garrison.url}{link[1]}token/show", [pair for pair in csrf if pair[0] == "csrf_token"])
    text = re.search(rf'<code id="text-{snippet}">(.*?)</code>', page.text, re.DOTALL)
    assert text, page.text
    return html.unescape(text[1])


def is_connected(engine: Engine, garrison: Garrison) -> bool:
    """Whether the container's outpost, and no other, is there; what the container wrote if it isn't."""
    states = [row["state"] for row in garrison.instances("edge")]
    assert states == ["connected"], (states, engine.run("docker", "logs", NAME)[-3000:])
    return True


def test_the_image_holds_the_outpost_alone(engine: Engine) -> None:
    config = engine.inspect(IMAGE)["Config"]
    assert (config["User"], list(config["Volumes"])) == ("65532:65532", ["/var/lib/garrison"])
    assert set(config["ExposedPorts"]) == {"9000/tcp", "9443/tcp", "9300/tcp"}
    assert config["Healthcheck"]["Test"] == ["CMD", "garrison-outpost", "healthcheck"]
    look = "import importlib.util as u; print([n for n in ('control', 'flask', 'pip', 'dataplane') if u.find_spec(n)])"
    assert engine.run("docker", "run", "--rm", "--entrypoint", "python3", IMAGE, "-c", look) == "['dataplane']\n"


def test_docker_run_as_shown(engine: Engine, garrison: Garrison, folder: Path) -> None:
    engine.run("sh", "-eu", "-c", shown(garrison, "docker"), folder=folder)
    assert not list(folder.glob("*.env"))
    eventually(lambda: is_connected(engine, garrison), "connected", within=30)
    container = engine.inspect(NAME)
    assert container["Config"]["Labels"]["team"] == "it's $HOME"
    assert container["HostConfig"]["ReadonlyRootfs"]
    address = container["NetworkSettings"]["IPAddress"]
    with urllib.request.urlopen(f"http://{address}:9000/outpost.goauthentik.io/ping", timeout=5) as answer:
        assert answer.status == 204
    (volume,) = (Path(mount["Source"]) for mount in container["Mounts"])
    assert (volume.stat().st_uid, volume.stat().st_mode & 0o777) == (OWNER, PRIVATE)
    eventually((volume / "state").exists, "its state outlasts it")
    eventually(lambda: engine.inspect(NAME)["State"]["Health"]["Status"] == "healthy", "healthy", within=40)
    assert "warning" not in engine.run("docker", "logs", NAME).lower()
    engine.run("docker", "stop", NAME)
    assert engine.inspect(NAME)["State"]["ExitCode"] == 0
