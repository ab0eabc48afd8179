"""How the link's server is tuned: gRPC's channel arguments as a function of a few spans and numbers.

Outposts have the counterpart in dataplane/link/channel.py: both ends keep alive alike. Tests scale the spans down.
"""

from dataclasses import dataclass

MEBIBYTE = 1024 * 1024


@dataclass(frozen=True, slots=True, kw_only=True)
class Transport:
    """Spans in seconds.

    After `keepalive` of silence a ping is sent, which has to be answered within `answer`. Pings of a peer may come
    `tolerance` apart. A TLS handshake takes `handshake` at most. `pending` calls may wait to be taken up. A message
    that is sent has `message_bytes` at most, one that is received `received_bytes`: gRPC has taken it into memory
    before anybody can ask who sends it, so that is but little more than the largest that outposts send
    (dataplane/link/translate.py).
    """

    keepalive: float = 10.0
    answer: float = 5.0
    tolerance: float = 5.0
    handshake: float = 5.0
    received_bytes: int = MEBIBYTE // 2
    message_bytes: int = 16 * MEBIBYTE
    pending: int = 100_000
    streams_of_connection: int = 1_024

    def options(self) -> tuple[tuple[str, int], ...]:
        """The arguments of the server."""
        return (
            # Two processes on one port would share outposts between them without a word.
            ("grpc.so_reuseport", 0),
            # The defaults, 1,000 and 3,000, shed the storm of outposts that come back after a restart.
            ("grpc.server.max_pending_requests", self.pending),
            ("grpc.server.max_pending_requests_hard_limit", 2 * self.pending),
            # The port is open to the world, and whoever can't finish a handshake has no certificate; default 120 s.
            ("grpc.server_handshake_timeout_ms", _milliseconds(self.handshake)),
            # Of one connection; the default is no limit. Whoever keeps to it has further calls wait (RFC 9113 section
            # 5.1.2). It is more than what one outpost may ask at a time, which is refused with words (limits.py).
            ("grpc.max_concurrent_streams", self.streams_of_connection),
            ("grpc.max_receive_message_length", self.received_bytes),
            ("grpc.max_send_message_length", self.message_bytes),
            ("grpc.keepalive_time_ms", _milliseconds(self.keepalive)),
            ("grpc.keepalive_timeout_ms", _milliseconds(self.answer)),
            # This one ends a connection whose peer acknowledges TCP segments but no pings; its default is 60 s.
            ("grpc.http2.ping_timeout_ms", _milliseconds(self.answer)),
            ("grpc.keepalive_permit_without_calls", 1),
            ("grpc.http2.max_pings_without_data", 0),
            ("grpc.http2.min_ping_interval_without_data_ms", _milliseconds(self.tolerance)),
            # Pings of honest outposts arrive bunched when this machine was too busy to read them, and two that come
            # too close, the default, would end the connections of all just then. Whoever pings has a certificate.
            ("grpc.http2.max_ping_strikes", 0),
        )


def _milliseconds(seconds: float) -> int:
    return round(seconds * 1000)
