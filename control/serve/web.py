"""The web process: gunicorn with one worker of threads on a unix socket, its metrics on another one.

gunicorn watches the worker (a hung one is replaced); the supervisor watches gunicorn.
"""

from collections.abc import Callable
from pathlib import Path
from typing import Any

from gunicorn.app.base import BaseApplication
from gunicorn.glogging import Logger
from prometheus_client import CollectorRegistry

from control.serve.unix_http import serve_metrics

THREADS = 16
GRACE_SECONDS = 2
HUNG_SECONDS = 30


class _Logger(Logger):  # type: ignore[misc] # gunicorn has no types
    """gunicorn's messages through the process's own logging."""

    def setup(self, cfg: Any) -> None:  # noqa: ANN401 - gunicorn's own
        """Leave handlers and level to the root logger."""
        self.cfg = cfg
        self.error_log.handlers.clear()
        self.error_log.propagate = True
        self.access_log.handlers.clear()


class WebServer(BaseApplication):  # type: ignore[misc] # gunicorn has no types
    """Serves the app that `build` makes in the worker, with metrics of the registry it is given."""

    def __init__(self, run: Path, build: Callable[[CollectorRegistry], Any], registry: CollectorRegistry) -> None:
        self._run = run
        self._build = build
        self._registry = registry
        super().__init__()

    def load_config(self) -> None:
        """The server's settings; the unix socket is the only way in, so forwarded headers are its front door's."""
        settings = {
            "bind": f"unix:{self._run / 'web.sock'}",
            "umask": 0o077,
            "worker_class": "gthread",
            "workers": 1,
            "threads": THREADS,
            "timeout": HUNG_SECONDS,
            "graceful_timeout": GRACE_SECONDS,
            "keepalive": 60,
            "forwarded_allow_ips": "*",
            "proc_name": "garrison web",
            "logger_class": _Logger,
            "control_socket_disable": True,
            "post_worker_init": self._start_metrics,
        }
        for name, value in settings.items():
            self.cfg.set(name, value)

    def load(self) -> Any:  # noqa: ANN401 - a WSGI application
        """The app, made in the worker."""
        return self._build(self._registry)

    def _start_metrics(self, worker: object) -> None:
        del worker
        serve_metrics(self._run / "web.metrics.sock", self._registry)
