"""The web process: gunicorn with one worker of threads on a unix socket, its metrics on another one.

gunicorn watches the worker (a hung one is replaced); the supervisor watches gunicorn. The socket is the supervisor's
and is handed down, so requests that arrive while the web process starts, or starts again, wait instead of failing.
"""

import os
import socket
from collections.abc import Callable
from pathlib import Path
from typing import Any

from gunicorn.app.base import BaseApplication
from gunicorn.glogging import Logger
from prometheus_client import CollectorRegistry

from control.serve.unix_http import serve_metrics

THREADS = 16
BACKLOG = 2048
_FIRST_HANDED_DOWN = 3
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

    def __init__(self, metrics: Path, build: Callable[[CollectorRegistry], Any], registry: CollectorRegistry) -> None:
        self._metrics = metrics
        self._build = build
        self._registry = registry
        super().__init__()

    def load_config(self) -> None:
        """The server's settings; the unix socket is the only way in, so forwarded headers are its front door's."""
        settings = {
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
        serve_metrics(self._metrics, self._registry)


def listen(path: Path) -> socket.socket:
    """The socket of the web process, for its owner only."""
    path.unlink(missing_ok=True)
    listening = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    listening.bind(str(path))
    path.chmod(0o600)
    listening.listen(BACKLOG)
    return listening


def adopt(descriptor: int) -> None:
    """Have gunicorn serve the inherited socket, as systemd hands one down (sd_listen_fds(3)); it then outlives it."""
    os.dup2(descriptor, _FIRST_HANDED_DOWN)
    if descriptor != _FIRST_HANDED_DOWN:
        os.close(descriptor)
    os.environ.update(LISTEN_PID=str(os.getpid()), LISTEN_FDS="1")
    os.environ.pop("NOTIFY_SOCKET", None)  # whether all is ready is the supervisor's to say
