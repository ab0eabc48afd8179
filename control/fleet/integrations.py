"""Creating, changing and removing integrations: the engines that run outposts for control.

An engine obeys whoever reaches it, and whoever answers in its place gets the outposts' tokens. What lies on an engine
is not forgotten because its integration now leads to another one.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from uuid import UUID, uuid4

from control.domain.errors import InUse
from control.domain.integration import Deployment, DeploymentState, Integration, IntegrationType
from control.fleet.engine_urls import EngineScheme, EngineUrl, NotAnEngineUrl, parse_engine_url
from control.fleet.fields import Fields, Reader
from control.store import Event, Unit

FIELDS = ("name", "type", "url", "tls_verification", "tls_authentication", "same_engine")
EXPECTED_URL = "unix:///absolute/path, tcp://host:port or ssh://user@host"
# Known by name so that the refusal can say "not yet" instead of "what is that?".
_LATER = ("kubernetes",)


@dataclass(frozen=True, slots=True, kw_only=True)
class Access:
    """What it takes to reach an engine and to know it again: PEM texts, and the SSH host key that was pinned."""

    url: EngineUrl
    ca: str = ""
    certificate: str = ""
    key: str = field(default="", repr=False)
    host_key: str = ""


def create_integration(unit: Unit, fields: Fields, *, local: bool = False) -> Integration:
    """Make an integration; `local` is for one that control found by itself. Raises Invalid with every problem."""
    blank = Integration(id=uuid4(), name="", type=IntegrationType.DOCKER, url="", local=local, created=unit.now)
    return unit.integrations.add(_checked(unit, blank, fields))


def update_integration(unit: Unit, integration: Integration, fields: Fields) -> Integration:
    """Change the fields that are named. Raises Invalid with every problem.

    `same_engine` (true or false) isn't kept: it says that another URL leads to the engine that outposts lie on.
    """
    changed = unit.integrations.update(_checked(unit, integration, fields))
    if changed.url != integration.url and not unit.deployments.of_integration(integration.id):
        _forget_health(unit, integration)
    return changed


def remove_integration(unit: Unit, integration: Integration) -> None:
    """Remove an integration. Raises InUse where an outpost names it.

    What was still to be removed from an engine that doesn't answer is forgotten with it, and the trail names it.
    """
    left = unit.deployments.of_integration(integration.id)
    unit.integrations.remove(integration)
    for each in left:
        unit.record(Event(action="left behind", kind="deployment", target=str(each.outpost), name=each.name))


def remove_empty_integration(unit: Unit, integration: Integration) -> None:
    """Remove an integration that nothing lies on. Raises InUse, also where something is yet to be removed there."""
    for each in unit.deployments.of_integration(integration.id):
        left = f"what lies of outpost {each.name!r} on its engine, until that is seen to be gone,"
        raise InUse("integration", integration.name, left)
    remove_integration(unit, integration)


def find_integration_at(unit: Unit, url: str) -> Integration | None:
    """The integration that leads where `url` does, however that is written."""
    try:
        identity = parse_engine_url(url).identity
    except NotAnEngineUrl:
        return None
    return next((each for each in unit.integrations.all() if identity == parse_engine_url(each.url).identity), None)


def access_of(unit: Unit, integration: Integration) -> Access:
    """How a stored integration is reached."""
    trusted = unit.certificates.find(integration.tls_verification)
    shown = unit.certificates.find(integration.tls_authentication)
    health = unit.integration_healths.find(integration.id)
    return Access(
        url=parse_engine_url(integration.url),
        ca="" if trusted is None else trusted.chain,
        certificate="" if shown is None else shown.chain,
        key="" if shown is None else shown.private_key or "",
        host_key="" if health is None else health.host_key,
    )


def settle_deployments(unit: Unit, outpost: UUID, integration: UUID | None) -> None:
    """Note of what is left of an outpost on engines whether it is to go, now that it belongs on `integration`."""
    for each in unit.deployments.of_outpost(outpost):
        unit.deployments.update(replace(each, state=_settled(each, integration)))


def _settled(deployment: Deployment, integration: UUID | None) -> DeploymentState:
    if deployment.integration != integration:
        return DeploymentState.LEAVING
    is_back = deployment.state is DeploymentState.LEAVING
    return DeploymentState.PENDING if is_back else deployment.state


def _checked(unit: Unit, current: Integration, fields: Fields) -> Integration:
    reader = Reader(fields, FIELDS)
    integration = replace(
        current,
        name=reader.object_name(current.name, 100),
        type=_type(reader, current),
        tls_verification=reader.reference("tls_verification", current.tls_verification, unit.certificates),
        tls_authentication=reader.reference("tls_authentication", current.tls_authentication, unit.certificates),
    )
    _check_name(unit, reader, integration)
    _check_key(unit, reader, integration)
    url = _url(reader, current)
    if url is not None:
        integration = replace(integration, url=str(url))
        _check_free(unit, reader, integration)
        _check_certificates(reader, integration, url)
    _check_kept(unit, reader, current, integration)
    reader.check()
    return integration


def _type(reader: Reader, current: Integration) -> IntegrationType:
    named = reader.fields.get("type", current.type)
    if named in _LATER:
        reader.refuse("type", "not_served_yet", named, "one of " + ", ".join(IntegrationType))
        return current.type
    return reader.word("type", current.type)


def _url(reader: Reader, current: Integration) -> EngineUrl | None:
    text = reader.text("url", current.url, 300, required=True)
    if not text:
        return None
    try:
        return parse_engine_url(text)
    except NotAnEngineUrl as error:
        reader.refuse("url", str(error), text if "@" not in text else "", EXPECTED_URL)
        return None


def _check_name(unit: Unit, reader: Reader, integration: Integration) -> None:
    reader.expect_free("name", unit.integrations.find_named(integration.name), integration.id)
    if not integration.name.isprintable():
        reader.refuse("name", "not_a_name", integration.name, "printable characters")


def _check_key(unit: Unit, reader: Reader, integration: Integration) -> None:
    shown = unit.certificates.find(integration.tls_authentication)
    if shown is not None and not shown.private_key:
        expected = "a certificate with its private key, which proves to the engine that it is ours"
        reader.refuse("tls_authentication", "no_private_key", shown.name, expected)


def _check_free(unit: Unit, reader: Reader, integration: Integration) -> None:
    taken_by = find_integration_at(unit, integration.url)
    if taken_by is not None and taken_by.id != integration.id:
        reader.refuse("url", "already_taken", integration.url, f"one that {taken_by.name!r} doesn't lead to")


def _check_certificates(reader: Reader, integration: Integration, url: EngineUrl) -> None:
    """None where it would protect nothing: who named it would believe otherwise."""
    match url.scheme:
        case EngineScheme.UNIX:
            for name in ("tls_verification", "tls_authentication"):
                if getattr(integration, name) is not None:
                    reader.refuse(name, "no_tls_here", integration.url, "nothing: a socket's file says who may use it")
        case EngineScheme.SSH:
            if integration.tls_verification is not None:
                expected = "nothing: the machine is known by the SSH host key that it showed first"
                reader.refuse("tls_verification", "no_tls_here", integration.url, expected)
        case EngineScheme.TCP:
            # TLS wherever one is named; without, as a socket proxy on a network of its own is reached.
            pass


def _check_kept(unit: Unit, reader: Reader, current: Integration, integration: Integration) -> None:
    is_same = reader.flag("same_engine", False)
    lying = [] if is_same or integration.url == current.url else unit.deployments.of_integration(current.id)
    if lying:
        expected = "same_engine, where it is the same engine; for another one make another integration"
        reader.refuse("url", "lies_there", _names(lying), expected)


def _names(deployments: Sequence[Deployment]) -> str:
    return ", ".join(each.name for each in deployments)


def _forget_health(unit: Unit, integration: Integration) -> None:
    """Of another engine nothing is known, and its SSH host key will be another one."""
    health = unit.integration_healths.find(integration.id)
    if health is not None:
        unit.integration_healths.remove(health)
