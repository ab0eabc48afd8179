"""What the link takes from outside: time, sleep and randomness, so that tests can bring their own."""

import asyncio
import random
import secrets
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class World:
    """`clock` is POSIX seconds, `monotonic` measures spans; `uniform` needs no cryptographic strength, `token` does."""

    clock: Callable[[], float] = time.time
    monotonic: Callable[[], float] = time.monotonic
    sleep: Callable[[float], Awaitable[None]] = asyncio.sleep
    # Jitter only.
    uniform: Callable[[float, float], float] = random.uniform
    token: Callable[[int], bytes] = secrets.token_bytes
