"""gRPC channels to the link: mutual TLS under the installation's CA, and the same keepalive as control's.

The server's one name is checked in place of the DNS name, so identity is the CA. A channel is made anew for every
connection: client certificates can't be exchanged in a living one, and DNS is asked again.
"""

import grpc

from dataplane.link.target import Credentials
from protos.outpost.v1 import gate_pb2_grpc, link_pb2_grpc

SERVER_NAME = "link.garrison.internal"
# A ping after 10 s of silence, answered within 5 s: a dead peer is found within 15 s.
KEEPALIVE_SECONDS = 10
KEEPALIVE_TIMEOUT_SECONDS = 5
# As control has it. A Config part is 1 MiB, unless a single resource is larger.
MAX_MESSAGE_BYTES = 16 * 1024 * 1024

OPTIONS: tuple[tuple[str, str | int], ...] = (
    ("grpc.ssl_target_name_override", SERVER_NAME),
    ("grpc.keepalive_time_ms", KEEPALIVE_SECONDS * 1000),
    ("grpc.keepalive_timeout_ms", KEEPALIVE_TIMEOUT_SECONDS * 1000),
    # It is this one that ends a connection whose peer acknowledges TCP segments but no pings; its default is 60 s.
    ("grpc.http2.ping_timeout_ms", KEEPALIVE_TIMEOUT_SECONDS * 1000),
    ("grpc.keepalive_permit_without_calls", 1),
    ("grpc.http2.max_pings_without_data", 0),
    ("grpc.max_receive_message_length", MAX_MESSAGE_BYTES),
    # Without it a new channel inherits the old one's connection and its backoff.
    ("grpc.use_local_subchannel_pool", 1),
    ("grpc.initial_reconnect_backoff_ms", 500),
    ("grpc.min_reconnect_backoff_ms", 5000),
    ("grpc.max_reconnect_backoff_ms", 5000),
)


def open_stream_channel(credentials: Credentials, address: str) -> grpc.aio.Channel:
    """A channel for the supervisor's asyncio."""
    return grpc.aio.secure_channel(address, _tls(credentials), OPTIONS)


def open_call_channel(credentials: Credentials, address: str) -> grpc.Channel:
    """A channel for a worker's blocking calls."""
    return grpc.secure_channel(address, _tls(credentials), OPTIONS)


def _tls(credentials: Credentials) -> grpc.ChannelCredentials:
    return grpc.ssl_channel_credentials(
        root_certificates=credentials.authority.encode(),
        private_key=credentials.private_key.encode(),
        certificate_chain=credentials.certificate.encode(),
    )


def link_stub(channel: grpc.aio.Channel) -> link_pb2_grpc.LinkStub:
    """The Link service over a channel."""
    return link_pb2_grpc.LinkStub(channel)  # type: ignore[no-untyped-call]  # generated without annotations


def gate_stub(channel: grpc.Channel | grpc.aio.Channel) -> gate_pb2_grpc.GateStub:
    """The Gate service over a channel."""
    return gate_pb2_grpc.GateStub(channel)  # type: ignore[no-untyped-call]  # generated without annotations
