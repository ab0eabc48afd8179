"""What all connections of a worker share: what is served, who is bound, what was counted."""

from collections.abc import Callable
from dataclasses import dataclass

from dataplane.crowding import Places
from dataplane.gate import EventAction, Gate
from dataplane.io.tls import ServerNames
from dataplane.ledger import Happening, Ledger
from dataplane.protocols.ldap.binding import Binder, Bound
from dataplane.protocols.ldap.config import Prepared
from dataplane.protocols.ldap.connections import Connections
from dataplane.protocols.ldap.metrics import Metrics
from dataplane.protocols.ldap.paging import Shelf
from dataplane.protocols.ldap.trees import Trees
from dataplane.revocations import Revocations
from dataplane.verifier import Verifier, VerifierLimits

# Clients of LDAP are applications: all people of one come from one address.
_ATTEMPTS = VerifierLimits(places=Places(all=256, of_strangers=128, of_client=128, of_stranger=16))


@dataclass(frozen=True, slots=True, kw_only=True)
class OperationLimits:
    """Bounds on what one connection may ask; times in seconds."""

    message: int = 64 * 1024
    """Bytes of a message of somebody who isn't bound."""
    bound_message: int = 1024 * 1024
    operations: int = 100
    """Under way at once."""
    idle: float = 120.0
    bound_idle: float = 600.0


class Service:
    """One worker's. `clock` is control's time."""

    def __init__(
        self,
        gate: Gate,
        names: ServerNames,
        limits: OperationLimits,
        clock: Callable[[], float],
        random: Callable[[int], bytes],
    ) -> None:
        self.gate = gate
        self.names = names
        self.limits = limits
        self.clock = clock
        self.metrics = Metrics()
        self.ledger = Ledger(clock, random)
        self.verifier = Verifier(gate.authenticate, clock, random, _ATTEMPTS)
        self.revocations = Revocations()
        self.connections = Connections()
        self.binder = Binder(self.verifier, self.revocations, self.ledger, self.metrics, clock)
        self.trees = Trees()
        self.shelf = Shelf(self.metrics.limits)

    def commit(self, prepared: Prepared) -> None:
        """Serve by this from now on; who is bound by what it ends is told to go."""
        self.revocations.commit(prepared.revocations)
        self.verifier.commit(prepared.revocations, prepared.options)
        self.trees = prepared.trees
        self.trees.use()
        self.shelf.drop_stale()
        for member, bound in self.connections.concerned(prepared.revocations):
            reason = self._find_end(bound)
            if reason:
                self._record(bound, reason)
                member.revoke(reason)
        for member, _ in self.connections.of_providers(prepared.gone):
            member.revoke("provider_gone")

    def is_over(self, bound: Bound) -> bool:
        """Whether its session has run out by itself."""
        return bound.session.expires <= self.clock()

    def _find_end(self, bound: Bound) -> str:
        if self.revocations.is_ended(bound.session, bound.provider):
            return "session_ended"
        return "access_denied" if self.binder.is_denied(bound.session, bound.provider) else ""

    def _record(self, bound: Bound, reason: str) -> None:
        happening = Happening(
            action=EventAction.TURNED_AWAY,
            provider=bound.provider,
            subject=bound.session.identity.subject,
            username=bound.session.identity.username,
            reason=reason.replace("_", " "),
        )
        self.ledger.record(happening)
