"""The link process: the gRPC services that outposts call. asyncio; database work in bounded thread pools.

The only package of control that knows protobuf; `translate` alone makes messages.
"""

from control.link.server import LinkSettings, run

__all__ = ["LinkSettings", "run"]
