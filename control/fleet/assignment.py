"""Which outpost is to serve which provider: the one rule, for what is pushed and for what pages show. Pure."""

from collections.abc import Iterable

from control.domain.application import ProxyProvider
from control.domain.outpost import Outpost


def assigned(outpost: Outpost, outposts: Iterable[Outpost], providers: Iterable[ProxyProvider]) -> list[ProxyProvider]:
    """The providers of an outpost: those it names, or all that no other does where it is the embedded one."""
    if not outpost.embedded or outpost.manual:
        return [provider for provider in providers if provider.id in outpost.providers]
    elsewhere = {key for other in outposts if other.id != outpost.id for key in other.providers}
    return [provider for provider in providers if provider.id not in elsewhere]
