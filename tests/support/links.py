"""Control's link, real and in this process, with outposts that a test plays word by word."""

import asyncio
import base64
import json
import secrets
import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from uuid import UUID, uuid4

import grpc
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from cryptography.x509.oid import NameOID

from control.auth.gatekeeper import Redemption, SessionClaim
from control.auth.granting import Asked, Granted
from control.auth.password_change import ChangeAsked
from control.domain.decision import Challenged, Refused, RefusedReason
from control.domain.grant import IssuedIdentity, IssuedSession, PasswordRefused, PasswordSet, Refusal, RefusalReason
from control.fleet.enrolment import Answer, Message, enrol, mac
from control.fleet.tokens import fingerprint
from control.link import LinkSettings
from control.link.limits import Limits
from control.link.server import Link, serving
from control.link.transport import Transport
from control.store import Actor, Store
from protos.outpost.v1 import gate_pb2_grpc, link_pb2, link_pb2_grpc, resources_pb2
from tests.support.fleet import Deployed
from tests.support.stores import Clock, Wakes

WAIT = 30.0


@dataclass
class FakeGatekeeper:
    """Answers as a test wants and remembers what it was asked."""

    answer: IssuedSession | Refusal = field(default_factory=lambda: Refusal(RefusalReason.INVALID_CODE))
    change: PasswordSet | PasswordRefused = field(default_factory=PasswordSet)
    verdict: Granted | Refused | Challenged = field(default_factory=lambda: Refused(reason=RefusedReason.BUSY))
    asked: list[tuple[Any, ...]] = field(default_factory=list)
    fails: Exception | None = None

    def redeem_code(self, caller: Actor, redemption: Redemption) -> IssuedSession | Refusal:
        self._note(caller, redemption)
        return self.answer

    def look_up_session(self, claim: SessionClaim) -> IssuedSession | Refusal:
        self._note(claim)
        return self.answer

    def end_session(self, caller: Actor, session: UUID) -> None:
        self._note(caller, session)

    def authenticate(self, caller: Actor, asked: Asked) -> Granted | Refused | Challenged:
        self._note(caller, asked)
        return self.verdict

    def change_password(self, caller: Actor, asked: ChangeAsked) -> PasswordSet | PasswordRefused:
        self._note(caller, asked)
        return self.change

    def _note(self, *asked: Any) -> None:
        self.asked.append(asked)
        if self.fails:
            raise self.fails


def issued_session() -> IssuedSession:
    """Somebody's session."""
    identity = IssuedIdentity(
        subject=uuid4(),
        username="alice",
        name="Alice",
        email="a@example.com",
        groups=("staff",),
        additional_headers={"X-Team": "blue"},
    )
    now = datetime.now(UTC)
    return IssuedSession(
        id=uuid4(), identity=identity, authenticated=now, expires=now, clock=now, id_token="ey.secret.jwt"
    )


def signing_request(key: Any, name: str = "x") -> str:
    """A PEM signing request."""
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
    request = x509.CertificateSigningRequestBuilder().subject_name(subject).sign(key, SHA256())
    return request.public_bytes(Encoding.PEM).decode()


@dataclass
class Applicant:
    """An outpost that enrols: builds the signed body."""

    secret: str
    uid: str = field(default_factory=lambda: uuid4().hex)
    nonce: bytes = field(default_factory=lambda: secrets.token_bytes(32))
    key: ec.EllipticCurvePrivateKey = field(default_factory=lambda: ec.generate_private_key(ec.SECP256R1()))
    clock: float = field(default_factory=lambda: datetime.now(UTC).timestamp())

    def body(self, **fields: object) -> bytes:
        return json.dumps(
            {
                "token_id": fingerprint(self.secret),
                "instance": self.uid,
                "type": "proxy",
                "csr": signing_request(self.key),
                "nonce": base64.urlsafe_b64encode(self.nonce).decode(),
                "clock": self.clock,
                "version": "0.1.0",
                **fields,
            }
        ).encode()

    def message(self, **fields: object) -> Message:
        body = self.body(**fields)
        return Message(body=body, mac=mac(self.secret, "outpost", body), address="192.0.2.1")

    def enrol(self, store: Store, **fields: object) -> Answer:
        return enrol(store, self.message(**fields), (":9444",))

    def key_pem(self) -> bytes:
        return self.key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())


@dataclass(frozen=True)
class Credentials:
    """What enrolment gives."""

    uid: str
    certificate: bytes
    key: bytes
    ca: bytes


@dataclass
class Control:
    """Control as far as the link needs it: a database, a clock that starts now, a folder for its sockets."""

    store: Store
    clock: Clock
    wakes: Wakes
    folder: Path
    gatekeeper: FakeGatekeeper = field(default_factory=FakeGatekeeper)
    sends_wakes: bool = True
    port: int = 0
    limits: Limits = field(default_factory=Limits)
    transport: Transport = field(default_factory=Transport)
    audit_kept: timedelta | None = None

    @property
    def settings(self) -> LinkSettings:
        return LinkSettings(
            address=f"127.0.0.1:{self.port}",
            wake_socket=self.folder / "wake.sock",
            metrics_socket=self.folder / "link.metrics.sock",
            url="http://localhost:9000",
            limits=self.limits,
            transport=self.transport,
            audit_kept=self.audit_kept,
        )

    @asynccontextmanager
    async def link(self) -> AsyncIterator[Link]:
        """The link, listening, woken by every commit."""
        async with serving(self.store, self.gatekeeper, self.settings, self.clock) as link:
            self.wakes.also.append(self._wake)
            yield link
            self.wakes.also.remove(self._wake)

    def enrol(self, deployed: Deployed, uid: str | None = None) -> Credentials:
        """What an outpost gets for its token."""
        applicant = Applicant(deployed.token.secret, uid=uid or uuid4().hex, clock=self.clock.now.timestamp())
        answer = applicant.enrol(self.store, type=str(deployed.outpost.type))
        assert answer.status == 200, answer.body
        given = json.loads(answer.body)
        return Credentials(applicant.uid, given["certificate"].encode(), applicant.key_pem(), given["ca"].encode())

    def _wake(self) -> None:
        if not self.sends_wakes:
            return
        with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as waker:
            waker.sendto(b"", str(self.settings.wake_socket))


def channel(link: Link, given: Credentials | None) -> grpc.aio.Channel:
    """A channel to the link, with or without a client certificate."""
    tls = grpc.ssl_channel_credentials(
        root_certificates=given.ca if given else None,
        private_key=given.key if given else None,
        certificate_chain=given.certificate if given else None,
    )
    options = [("grpc.ssl_target_name_override", "link.garrison.internal"), ("grpc.use_local_subchannel_pool", 1)]
    return grpc.aio.secure_channel(f"127.0.0.1:{link.port}", tls, options)


class Actress:
    """An outpost whose words the test chooses."""

    def __init__(self, open_channel: grpc.aio.Channel, uid: str) -> None:
        self.uid = uid
        self.channel = open_channel
        self.call = link_pb2_grpc.LinkStub(open_channel).Watch()  # type: ignore[no-untyped-call]  # generated
        self.gate = gate_pb2_grpc.GateStub(open_channel)  # type: ignore[no-untyped-call]  # generated
        self.held: dict[str, str] = {}
        self.resources: dict[str, resources_pb2.Resource] = {}

    def key(self, deployed: Deployed) -> tuple[UUID, str]:
        """What the roster knows it by."""
        return deployed.outpost.id, self.uid

    async def say(self, request: link_pb2.WatchRequest) -> None:
        """Say something, if the stream hasn't ended: how it did is for `hear` and `status` to find."""
        with suppress(grpc.aio.AioRpcError, asyncio.InvalidStateError):
            await self.call.write(request)

    async def hello(self, **fields: Any) -> None:
        said = {"instance": self.uid, "type": "proxy", "protocol": 1, "version": "0.1.0", "hostname": "edge-1"}
        await self.say(link_pb2.WatchRequest(hello=link_pb2.Hello(**{**said, "held": self.held, **fields})))

    async def more_held(self, held: dict[str, str], *, last: bool) -> None:
        """Go on with a Hello that is continued."""
        await self.say(link_pb2.WatchRequest(held=link_pb2.Held(held=held, last=last)))

    async def connect(self) -> None:
        """Say Hello and take what is sent."""
        await self.hello()
        await self.take()

    async def health(self, **fields: Any) -> None:
        await self.say(link_pb2.WatchRequest(health=link_pb2.Health(**fields)))

    async def hear(self) -> link_pb2.WatchResponse:
        async with asyncio.timeout(WAIT):
            heard = await self.call.read()
        assert isinstance(heard, link_pb2.WatchResponse), await self.status()
        return heard

    async def silent(self, seconds: float) -> bool:
        """Whether nothing comes for that long; the stream can't be read on afterwards."""
        try:
            async with asyncio.timeout(seconds):
                await self.call.read()
        except TimeoutError:
            return True
        return False

    async def config(self) -> list[link_pb2.Config]:
        """All parts of the next Config, taken over but not acknowledged."""
        parts: list[link_pb2.Config] = []
        while not parts or not parts[-1].last:
            parts.append((await self.hear()).config)
        for part in parts:
            for key in part.removed:
                self.held.pop(key)
                self.resources.pop(key, None)
            for data in part.resources:
                resource = resources_pb2.Resource.FromString(data)
                self.held[resource.key] = resource.digest
                self.resources[resource.key] = resource
        return parts

    async def applied(self, revision: int, rejected: tuple[link_pb2.Rejection, ...] = ()) -> None:
        applied = link_pb2.Applied(revision=revision, rejected=rejected)
        await self.say(link_pb2.WatchRequest(applied=applied))

    async def take(self) -> link_pb2.Config:
        """Hear a Config and say that it is applied."""
        parts = await self.config()
        await self.applied(parts[-1].revision)
        return parts[-1]

    async def status(self) -> tuple[grpc.StatusCode, str]:
        """How the stream ended."""
        async with asyncio.timeout(WAIT):
            return await self.call.code(), await self.call.details()


@asynccontextmanager
async def outpost(link: Link, given: Credentials) -> AsyncIterator[Actress]:
    """An outpost on a channel of its own, which has said nothing yet."""
    async with channel(link, given) as open_channel:
        yield Actress(open_channel, given.uid)


async def eventually(condition: Any, seconds: float = WAIT) -> None:
    """Wait until the condition holds."""
    async with asyncio.timeout(seconds):
        while not condition():  # noqa: ASYNC110 - what is waited for knows nothing of events
            await asyncio.sleep(0.005)
