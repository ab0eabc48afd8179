"""The processes of control that `garrison serve` starts: `garrison _web`, `garrison _link` and `garrison _tasks`."""

import os
from importlib.metadata import version
from typing import Any

from prometheus_client import REGISTRY, CollectorRegistry

from control.main.arguments import Arguments
from control.serve import logs
from control.settings import Given, Settings, now, read_settings
from control.settings.opening import open_store


def web(arguments: Arguments) -> int:
    """The web process: gunicorn and the Flask app."""
    from control.serve.web import WebServer, adopt

    settings = _settings(arguments)
    logs.configure("web", settings.log_level)
    adopt(arguments.socket)
    REGISTRY.register(logs.Losses())
    WebServer(settings.run / "web.metrics.sock", lambda registry: _app(settings, registry), REGISTRY).run()
    return 0


def link(arguments: Arguments) -> int:
    """The link process: what stays open to outposts."""
    from control.auth.gatekeeper import Gatekeeper
    from control.auth.oidc.issuer import Issuer
    from control.link import LinkSettings, run

    settings = _settings(arguments)
    logs.configure("link", settings.log_level)
    store = open_store(settings, migrate=False)
    link_settings = LinkSettings(
        address=str(settings.link) if settings.link.host else f"[::]:{settings.link.port}",
        wake_socket=settings.run / "wake.sock",
        metrics_socket=settings.run / "link.metrics.sock",
        url=settings.url,
        audit_kept=settings.audit_kept,
        counted=(logs.Losses(),),
    )
    return run(store, Gatekeeper(store, Issuer(url=settings.url)), link_settings)


def tasks(arguments: Arguments) -> int:
    """The tasks process: background work, above all on outposts that control deploys."""
    from control.fleet.launch import Home
    from control.serve.unix_http import serve_metrics
    from control.tasks.context import Means
    from control.tasks.metrics import make_registry
    from control.tasks.process import run

    settings = _settings(arguments)
    logs.configure("tasks", settings.log_level)
    store = open_store(settings, migrate=False)
    home = Home(url=settings.url, version=version("garrison"), image_base=settings.image_base)
    registry = make_registry(store)
    registry.register(logs.Losses())
    serve_metrics(settings.run / "tasks.metrics.sock", registry)
    return run(store, Means(home=home, sockets=settings.engine_sockets, ssh_config=settings.ssh_config), now)


def _settings(arguments: Arguments) -> Settings:
    return read_settings(Given(http=arguments.http, https=arguments.https, link=arguments.link), os.environ)


def _app(settings: Settings, registry: CollectorRegistry) -> Any:  # noqa: ANN401 - a WSGI application
    """The Flask app; made in gunicorn's worker, so that its connections are the worker's own."""
    from control.web import WebSettings, create_app

    store = open_store(settings, migrate=False)
    web_settings = WebSettings(
        url=settings.url,
        secret_key=store.sealer.derive("web"),
        link_addresses=settings.link_addresses,
        http_port=settings.http.port,
        https_port=settings.https.port,
        processes_file=settings.run / "processes.json",
        version=version("garrison"),
        image_base=settings.image_base,
        audit_kept=settings.audit_kept,
    )
    return create_app(web_settings, store, now, registry)
