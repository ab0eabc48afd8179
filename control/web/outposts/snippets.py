"""How to deploy an outpost by hand: the same environment for Docker, Compose, Kubernetes, systemd and a shell."""

from dataclasses import dataclass

from flask import current_app, render_template

from control.domain.outpost import Outpost
from control.fleet.options import OutpostOptions
from control.web.outposts import quoting
from control.web.providers.snippets import Snippet

_FILTERS = {
    "shell": quoting.shell,
    "yaml": quoting.yaml_scalar,
    "compose": quoting.compose,
    "envfile": quoting.environment_file,
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Deployment:
    """What an instance needs to be told."""

    outpost: Outpost
    options: OutpostOptions
    host: str
    token: str
    version: str

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
        """What container, unit and Kubernetes objects are called."""
        template = self.options.object_naming_template
        values = {"name": self.outpost.name, "uuid": self.outpost.id.hex}
        return quoting.resource_name(template % values, f"ak-outpost-{self.outpost.id.hex[:8]}")

    @property
    def image(self) -> str:
        """The container image."""
        return self.options.container_image or f"garrison-outpost:{self.version or 'latest'}"


def deployment_snippets(deployment: Deployment) -> tuple[Snippet, ...]:
    """One snippet for each way."""
    current_app.jinja_env.filters.update(_FILTERS)
    return (
        Snippet(key="docker", title="docker run", text=_rendered("docker.sh", deployment)),
        Snippet(key="compose", title="Compose", text=_rendered("compose.yaml", deployment)),
        Snippet(key="kubernetes", title="Kubernetes", text=_rendered("kubernetes.yaml", deployment)),
        Snippet(key="systemd", title="systemd", text=_rendered("systemd.sh", deployment)),
        Snippet(key="command", title="Command line", text=_rendered("command.sh", deployment)),
    )


def _rendered(name: str, deployment: Deployment) -> str:
    options = deployment.options
    return render_template(
        f"snippets/{name}",
        name=deployment.name,
        uuid=str(deployment.outpost.id),
        type=deployment.outpost.type.value,
        image=deployment.image,
        environment=deployment.environment,
        namespace=options.kubernetes_namespace,
        replicas=options.kubernetes_replicas,
        service_type=options.kubernetes_service_type,
    )
