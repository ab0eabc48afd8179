"""Moments as they travel."""

from google.protobuf.timestamp_pb2 import Timestamp


def timestamp(seconds: float) -> Timestamp:
    """POSIX seconds as they travel."""
    timestamp = Timestamp()
    timestamp.FromMicroseconds(round(seconds * 1_000_000))
    return timestamp


def seconds(stamp: Timestamp) -> float:
    """The same back."""
    return float(stamp.ToMicroseconds()) / 1_000_000
