"""The images, built as `make images` builds them, and the outpost started as its page in the admin interface says."""

import html
import json
import re
import urllib.request
from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.support.browser_http import Visitor
from tests.support.engine import GATEWAY, Engine
from tests.support.garrison import ADMIN, ADMIN_PASSWORD, Garrison
from tests.support.peers_program import eventually, free_port

# Debian's base system and the image itself are built first.
pytestmark = [pytest.mark.interop, pytest.mark.timeout(420)]
NAME = "ak-outpost-edge"
OWNER, PRIVATE = 65532, 0o700
PYTHON = "/opt/garrison/bin/python"
SBOM = "/opt/garrison/sbom.cdx.json"
# What the bill must have, from the one who knows it best: each package's own record, and dpkg.
PACKAGES = "import importlib.metadata as m; print(*{f'{d.name.lower()}=={d.version}' for d in m.distributions()})"
DEBIAN = ("dpkg-query", "--show", "--showformat=${Package}==${Version} ")


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


def python(engine: Engine, image: str, program: str) -> str:
    """What a program prints that Python runs in the image, as a container is deployed: it may write nowhere."""
    command = ["docker", "run", "--rm", "--read-only", "--cap-drop", "ALL", "--entrypoint", PYTHON, image]
    return engine.run(*command, "-c", program)


def bill(engine: Engine, image: str) -> dict[str, Any]:
    """The bill of materials in an image."""
    found: dict[str, Any] = json.loads(python(engine, image, f"print(open({SBOM!r}).read())"))
    return found


def test_the_image_holds_the_outpost_alone(engine: Engine, outpost_image: str) -> None:
    config = engine.inspect(outpost_image)["Config"]
    assert (config["User"], list(config["Volumes"])) == ("65532:65532", ["/var/lib/garrison"])
    assert set(config["ExposedPorts"]) == {"9000/tcp", "9443/tcp", "3389/tcp", "6636/tcp", "9300/tcp"}
    assert config["Healthcheck"]["Test"] == ["CMD", "garrison-outpost", "healthcheck"]
    look = "import importlib.util as u; print([n for n in ('control', 'flask', 'pip', 'dataplane') if u.find_spec(n)])"
    assert python(engine, outpost_image, look) == "['dataplane']\n"


def test_the_image_of_control(engine: Engine, control_image: str) -> None:
    config = engine.inspect(control_image)["Config"]
    assert (config["User"], list(config["Volumes"])) == ("65532:65532", ["/var/lib/garrison"])
    assert set(config["ExposedPorts"]) == {"9000/tcp", "9443/tcp", "9444/tcp", "9300/tcp"}
    assert config["Healthcheck"]["Test"] == ["CMD", "garrison", "healthcheck"]
    look = "import importlib.util as u; print([n for n in ('pip', 'cyclonedx', 'mypy', 'control') if u.find_spec(n)])"
    assert python(engine, control_image, look) == "['control']\n"
    assert python(engine, control_image, "import pathlib; print(pathlib.Path.home())") == "/authentik\n"
    made = (
        "import pathlib, control; print(*pathlib.Path(control.__file__).parent.glob('web/static/dist/manifest.json'))"
    )
    assert python(engine, control_image, made).strip(), "pages have their style sheet"


@pytest.mark.parametrize("kind", ["outpost", "control"])
def test_the_bill_of_materials_lists_all_that_is_there(
    kind: str, engine: Engine, outpost_image: str, control_image: str
) -> None:
    image = control_image if kind == "control" else outpost_image
    found = bill(engine, image)
    assert (found["bomFormat"], found["specVersion"]) == ("CycloneDX", "1.6")
    about = found["metadata"]["component"]
    assert f"{about['name']}:{about['version']}" == image
    listed: dict[str, set[str]] = defaultdict(set)
    for part in found["components"]:
        listed[part["purl"].partition("/")[0]].add(f"{part['name'].lower()}=={part['version']}")
    assert listed["pkg:pypi"] == set(python(engine, image, PACKAGES).split())
    dpkg = engine.run("docker", "run", "--rm", "--entrypoint", DEBIAN[0], image, *DEBIAN[1:])
    assert listed["pkg:deb"] == set(dpkg.split())
    assert listed["pkg:generic"] == {
        f"python=={python(engine, image, 'import platform as p; print(p.python_version())').strip()}"
    }
    (root,) = (each for each in found["dependencies"] if each["ref"] == about["bom-ref"])
    assert set(root["dependsOn"]) == {part["bom-ref"] for part in found["components"]}


@pytest.mark.usefixtures("outpost_image")
def test_docker_run_as_shown(engine: Engine, garrison: Garrison, folder: Path) -> None:
    engine.run("sh", "-eu", "-c", shown(garrison, "docker"), folder=folder)
    assert not list(folder.glob("*.env"))
    eventually(lambda: is_connected(engine, garrison), "connected", within=30)
    container = engine.inspect(NAME)
    assert container["Config"]["Labels"]["team"] == "it's $HOME"
    assert container["HostConfig"]["ReadonlyRootfs"]
    address = container["NetworkSettings"]["IPAddress"]
    with urllib.request.urlopen(f"http://{address}:9000/outpost.goauthentik.io/ping", timeout=30) as answer:
        assert answer.status == 204
    (volume,) = (Path(mount["Source"]) for mount in container["Mounts"])
    assert (volume.stat().st_uid, volume.stat().st_mode & 0o777) == (OWNER, PRIVATE)
    eventually((volume / "state").exists, "its state outlasts it")
    eventually(lambda: engine.inspect(NAME)["State"]["Health"]["Status"] == "healthy", "healthy", within=40)
    assert "warning" not in engine.run("docker", "logs", NAME).lower()
    engine.run("docker", "stop", NAME)
    assert engine.inspect(NAME)["State"]["ExitCode"] == 0
    engine.run("docker", "rm", "--volumes", NAME)
