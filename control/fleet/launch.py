"""What has to be known to start an outpost: environment, names, image, and what of its settings counts where.

Decided here for all who start one: written out by the templates of the snippets for people, carried out by the
integrations. Two outposts never share a name, whatever they are called.
"""

import ipaddress
from collections.abc import Mapping
from dataclasses import dataclass, field
from urllib.parse import urlsplit

from control.domain.outpost import Outpost, OutpostType
from control.domain.text import resource_name
from control.fleet.options import OutpostOptions, options_of

OWN_IMAGE = "garrison-outpost"
OUTPOST_LABEL = "io.goauthentik.outpost-uuid"
# Networks that are modes of the engine: such a container joins no network by name.
_MODES = frozenset({"host", "none", "bridge", "default"})
_WITHOUT_PORTS = frozenset({"host", "none"})
# Where each type listens for those it serves: the name of a port and its number.
_PORTS: Mapping[OutpostType, Mapping[str, int]] = {
    OutpostType.PROXY: {"http": 9000, "https": 9443},
    OutpostType.LDAP: {"ldap": 3389, "ldaps": 6636},
}
# Options for which no snippet has a place: what they speak of is made by whoever deploys.
_LEFT_OUT = (
    "kubernetes_ingress_annotations",
    "kubernetes_ingress_secret_name",
    "kubernetes_ingress_class_name",
    "kubernetes_ingress_path_type",
    "kubernetes_httproute_annotations",
    "kubernetes_httproute_parent_refs",
    "kubernetes_json_patches",
    "kubernetes_disable_x509_strict",
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Home:
    """What control knows of itself: its URL, its version, and the template of images (`Launch.image_base`)."""

    url: str
    version: str
    image_base: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Sites:
    """The external hosts (URLs) of an outpost's proxy providers, which whatever routes to it has to know.

    Of those `asked` about only the outpost's own paths lead to it, of those `proxied` all.
    """

    asked: frozenset[str] = frozenset()
    proxied: frozenset[str] = frozenset()


@dataclass(frozen=True, slots=True, kw_only=True)
class Launch:
    """What an instance needs to be told. `image_base` is a checked template of `%(type)s` and `%(version)s`."""

    outpost: Outpost
    options: OutpostOptions
    host: str
    token: str = field(repr=False)
    version: str
    image_base: str = ""

    @property
    def environment(self) -> dict[str, str]:
        """The variables, by authentik's names."""
        found = {
            "AUTHENTIK_HOST": self.host,
            "AUTHENTIK_TOKEN": self.token,
            "AUTHENTIK_INSECURE": "true" if self.options.authentik_host_insecure else "false",
        }
        if self.options.authentik_host_browser:
            found["AUTHENTIK_HOST_BROWSER"] = self.options.authentik_host_browser
        return found

    @property
    def name(self) -> str:
        """What container, unit and Kubernetes objects are called.

        With a piece of the id where another outpost's name could have come out alike: changed, cut, or left out.
        """
        key, template = self.outpost.id.hex, self.options.object_naming_template
        wanted = template % {"name": self.outpost.name, "uuid": key}
        label = resource_name(wanted, "outpost")
        is_alone = label == wanted != template % {"name": "", "uuid": ""}
        return label if is_alone else f"{label}-{key[:6]}"

    @property
    def image(self) -> str:
        """The container image."""
        values = {"type": self.outpost.type.value, "version": self.version}
        default = self.image_base % values or f"{OWN_IMAGE}:{self.version or 'latest'}"
        return self.options.container_image or default

    @property
    def is_own_image(self) -> bool:
        """Whether the image is the one that has to be built first, since no registry has it."""
        return not self.options.container_image and not self.image_base

    @property
    def labels(self) -> Mapping[str, str]:
        """The container's labels; ours says whose it is, and no other may."""
        return {**(self.options.docker_labels or {}), OUTPOST_LABEL: str(self.outpost.id)}

    @property
    def network(self) -> str:
        """The network to join by name, or "" for none."""
        return "" if self.network_mode else self.options.docker_network or ""

    @property
    def network_mode(self) -> str:
        """The engine's mode of networking where the option names one, such as host."""
        wanted = self.options.docker_network or ""
        return wanted if wanted in _MODES or wanted.startswith("container:") else ""

    @property
    def ports(self) -> Mapping[str, int]:
        """What clients come to, by name."""
        return _PORTS[self.outpost.type]

    @property
    def publishes(self) -> bool:
        """Whether ports of the container become ports of its host."""
        has_ports = self.network_mode not in _WITHOUT_PORTS and not self.network_mode.startswith("container:")
        return self.options.docker_map_ports and has_ports

    @property
    def left_out(self) -> tuple[str, ...]:
        """Options that are set and stand in no snippet."""
        return tuple(key for key in _LEFT_OUT if key in self.outpost.config)

    @property
    def is_loopback(self) -> bool:
        """Whether other machines and containers would find themselves at AUTHENTIK_HOST."""
        return _is_loopback(self.host)

    @property
    def plain_url(self) -> str:
        """Where browsers are sent to sign in, if that is over plain HTTP through a network; else ""."""
        url = self.options.authentik_host_browser or self.host
        return url if urlsplit(url).scheme == "http" and not _is_loopback(url) else ""


def launch_of(outpost: Outpost, token: str, home: Home) -> Launch:
    """How to start an instance of a stored outpost with that token. Raises Invalid where its options are unusable."""
    options = options_of(outpost)
    return Launch(
        outpost=outpost,
        options=options,
        host=options.authentik_host or home.url,
        token=token,
        version=home.version,
        image_base=home.image_base,
    )


def _is_loopback(url: str) -> bool:
    host = urlsplit(url).hostname or ""
    try:
        address = ipaddress.ip_address(host)
    except ValueError:
        return host == "localhost" or host.endswith(".localhost")
    return address.is_loopback or address.is_unspecified
