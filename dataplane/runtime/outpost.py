"""Runs one outpost to its end and says how it went: the only caller of the supervisor."""

import logging

from dataplane.link.state import StateBusy
from dataplane.link.world import World
from dataplane.runtime.listeners import ListenFailed
from dataplane.runtime.plan import Plan
from dataplane.runtime.supervisor import Supervisor

_NEIGHBOURS = (
    "every private address may say where a request is from, by X-Forwarded-For or the PROXY protocol: name your "
    "reverse proxies alone in AUTHENTIK_LISTEN__TRUSTED_PROXY_CIDRS, or lockouts by address hold nobody up "
    "in your own networks"
)
log = logging.getLogger("dataplane.supervisor")


async def run(plan: Plan) -> int:
    """The exit status."""
    if plan.trusted_cidrs is None:
        log.info(_NEIGHBOURS)
    try:
        await Supervisor(plan, World()).run()
    except (StateBusy, ListenFailed) as error:
        log.critical("the outpost can't run", extra={"reason": str(error)})
        return 1
    return 0
