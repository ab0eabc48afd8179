"""Which application serves a host. Altered when config arrives; a host that nobody claims belongs to nobody.

An exact external host comes first, then the longest cookie domain the host lies within, at a dot. There is no
"the only application there is": a guess has no place where access is decided.
"""

from collections.abc import Iterable

from dataplane.config import ConfigRefused
from dataplane.protocols.proxy.application import Application
from dataplane.protocols.proxy.wire import host_name

_NOBODY: frozenset[Application] = frozenset()


class Routes:
    """Hosts and domains to applications. Those that are served stay as they are: `without` makes others of them."""

    __slots__ = ("_by_domain", "_by_host", "_by_name")

    def __init__(self) -> None:
        self._by_host: dict[str, Application] = {}
        self._by_domain: dict[str, Application] = {}
        self._by_name: dict[str, frozenset[Application]] = {}

    def without(self, applications: Iterable[Application]) -> "Routes":
        """A copy in which these have no claims."""
        others = Routes()
        others._by_host = self._by_host.copy()
        others._by_domain = self._by_domain.copy()
        others._by_name = self._by_name.copy()
        for application in applications:
            others._remove(application)
        return others

    def add(self, application: Application) -> None:
        """Claim the application's host, and its domain. Raises ConfigRefused when another has claimed it."""
        host = application.origin.host
        _check_free(self._by_host, host, f"external_host {application.provider.external_host}")
        if application.is_domain:
            _check_free(self._by_domain, application.domain, f"cookie_domain {application.domain}")
            self._by_domain[application.domain] = application
        self._by_host[host] = application
        self._by_name[application.origin.name] = self.named(application.origin.name) | {application}

    def _remove(self, application: Application) -> None:
        del self._by_host[application.origin.host]
        if application.is_domain:
            del self._by_domain[application.domain]
        self._by_name[application.origin.name] -= {application}
        if not self._by_name[application.origin.name]:
            del self._by_name[application.origin.name]

    def find(self, host: str) -> Application | None:
        """The application for a canonical host."""
        found = self._by_host.get(host)
        if found is not None or not self._by_domain:
            return found
        domain = host_name(host)
        while domain:
            found = self._by_domain.get(domain)
            if found is not None:
                return found
            domain = domain.partition(".")[2]
        return None

    def named(self, name: str) -> frozenset[Application]:
        """The applications whose external host has this name, on whatever ports."""
        return self._by_name.get(name, _NOBODY)

    def find_domain(self, domain: str) -> Application | None:
        """The application that signs people in for exactly this domain."""
        return self._by_domain.get(domain)

    def confuses(self, application: Application, host: str, rival: str, service_hosts: frozenset[str]) -> bool:
        """Whether a proxy that names `rival` too may be about to serve another application than that of `host`.

        Names that differ can't be told from an attack, whoever claims them: nginx serves what it doesn't know by its
        first server block. There are two exceptions. A configuration may always say the sign-in host of a whole domain,
        where that is all there is to be confused. And ingress-nginx says the outpost's own Service, whatever a
        browser asks: the operator names it, since any name taken without is one that a client can make up.
        Ports alone may differ (nginx leaves them out of $host), unless they tell applications apart.
        """
        name = host_name(rival)
        if name == host_name(host):
            return bool(self.named(name) - {application})
        if name in service_hosts and self.find(rival) is None:
            return False
        return not (application.is_domain and rival == application.origin.host and len(self._by_host) == 1)

    @property
    def applications(self) -> Iterable[Application]:
        """Every application, each once."""
        return self._by_host.values()


def _check_free(taken: dict[str, Application], key: str, what: str) -> None:
    holder = taken.get(key)
    if holder is not None:
        raise ConfigRefused(f"{what} is served by provider {holder.provider.name!r} already")
