"""gRPC channels to the link: mutual TLS under the installation's CA, and the same keepalive as control's.

The server's one name is checked in place of the DNS name, so identity is the CA. A channel is made anew for every
connection: client certificates can't be exchanged in a living one, and DNS is asked again.
"""

from dataclasses import dataclass

import grpc

from dataplane.link.target import Credentials
from protos.outpost.v1 import gate_pb2_grpc, link_pb2_grpc

SERVER_NAME = "link.garrison.internal"


@dataclass(frozen=True, slots=True, kw_only=True)
class Transport:
    """How channels are tuned; spans in seconds. Control's counterpart is control/link/transport.py.

    After `keepalive` of silence a ping is sent, which has to be answered within `answer`: together that is how long a
    dead peer stays unnoticed. A Config part is 1 MiB, unless a single resource is larger.
    """

    keepalive: float = 10.0
    answer: float = 5.0
    message_bytes: int = 16 * 1024 * 1024

    def options(self) -> tuple[tuple[str, str | int], ...]:
        """The channel's arguments."""
        return (
            ("grpc.ssl_target_name_override", SERVER_NAME),
            ("grpc.keepalive_time_ms", _milliseconds(self.keepalive)),
            ("grpc.keepalive_timeout_ms", _milliseconds(self.answer)),
            # This one ends a connection whose peer acknowledges TCP segments but no pings; its default is 60 s.
            ("grpc.http2.ping_timeout_ms", _milliseconds(self.answer)),
            ("grpc.keepalive_permit_without_calls", 1),
            ("grpc.http2.max_pings_without_data", 0),
            ("grpc.max_receive_message_length", self.message_bytes),
            # Without it a new channel inherits the old one's connection and its backoff.
            ("grpc.use_local_subchannel_pool", 1),
            ("grpc.initial_reconnect_backoff_ms", 500),
            ("grpc.min_reconnect_backoff_ms", 5000),
            ("grpc.max_reconnect_backoff_ms", 5000),
        )


USUAL = Transport()


def open_stream_channel(credentials: Credentials, address: str, transport: Transport = USUAL) -> grpc.aio.Channel:
    """A channel for the supervisor's asyncio."""
    return grpc.aio.secure_channel(address, _tls(credentials), transport.options())


def open_call_channel(credentials: Credentials, address: str) -> grpc.Channel:
    """A channel for a worker's blocking calls."""
    return grpc.secure_channel(address, _tls(credentials), USUAL.options())


def _tls(credentials: Credentials) -> grpc.ChannelCredentials:
    return grpc.ssl_channel_credentials(
        root_certificates=credentials.authority.encode(),
        private_key=credentials.private_key.encode(),
        certificate_chain=credentials.certificate.encode(),
    )


def _milliseconds(seconds: float) -> int:
    return round(seconds * 1000)


def link_stub(channel: grpc.aio.Channel) -> link_pb2_grpc.LinkStub:
    """The Link service over a channel."""
    return link_pb2_grpc.LinkStub(channel)  # type: ignore[no-untyped-call]  # generated without annotations


def gate_stub(channel: grpc.Channel | grpc.aio.Channel) -> gate_pb2_grpc.GateStub:
    """The Gate service over a channel."""
    return gate_pb2_grpc.GateStub(channel)  # type: ignore[no-untyped-call]  # generated without annotations
