"""How to deploy an outpost by hand: the same environment for Docker, Compose, Kubernetes, systemd and a shell."""

from flask import current_app, render_template

from control.fleet.launch import Launch
from control.web import quoting
from control.web.providers.snippets import Snippet

_FILTERS = {
    "shell": quoting.shell,
    "yaml": quoting.yaml_scalar,
    "compose": quoting.compose,
    "envfile": quoting.environment_file,
    "dockerfile": quoting.docker_environment_file,
}


def deployment_snippets(deployment: Launch) -> tuple[Snippet, ...]:
    """One snippet for each way."""
    current_app.jinja_env.filters.update(_FILTERS)
    return (
        Snippet(key="docker", title="docker run", text=_rendered("docker.sh", deployment)),
        Snippet(key="compose", title="Compose", text=_rendered("compose.yaml", deployment)),
        Snippet(key="kubernetes", title="Kubernetes", text=_rendered("kubernetes.yaml", deployment)),
        Snippet(key="systemd", title="systemd", text=_rendered("systemd.sh", deployment)),
        Snippet(key="command", title="Command line", text=_rendered("command.sh", deployment)),
    )


def _rendered(template: str, deployment: Launch) -> str:
    return render_template(
        f"snippets/{template}",
        deployment=deployment,
        options=deployment.options,
        name=deployment.name,
        type=deployment.outpost.type.value,
        environment=deployment.environment,
    )
