"""Control as outposts meet it: the enrolment endpoint and the link, in threads of the test."""

import asyncio
import threading
from collections.abc import Iterator
from contextlib import contextmanager

from werkzeug.serving import BaseWSGIServer, make_server

from control.domain.outpost import Instance
from control.link.server import Link
from control.web import enrol
from tests.support.fake_control import eventually
from tests.support.fleet import Deployed
from tests.support.links import Control
from tests.support.web import make_app


class RealControl:
    """A running control plane over the store of a `Control`."""

    def __init__(self, control: Control) -> None:
        self.control = control
        self.store = control.store
        self._started = threading.Event()
        self._loop = asyncio.new_event_loop()
        self._stop = asyncio.Event()
        self._link: Link | None = None
        self._web: BaseWSGIServer | None = None

    @contextmanager
    def running(self) -> Iterator["RealControl"]:
        """Serve until the block ends."""
        link = threading.Thread(target=self._serve_link)
        link.start()
        assert self._started.wait(10)
        web = threading.Thread(target=self._start_web().serve_forever)
        web.start()
        try:
            yield self
        finally:
            self._web.shutdown() if self._web else None
            self._loop.call_soon_threadsafe(self._stop.set)
            link.join(10)
            web.join(10)

    @property
    def url(self) -> str:
        """What outposts get as AUTHENTIK_HOST."""
        assert self._web
        return f"http://127.0.0.1:{self._web.port}"

    def environment(self, deployed: Deployed) -> dict[str, str]:
        """What an outpost is started with."""
        return {"AUTHENTIK_HOST": self.url, "AUTHENTIK_TOKEN": deployed.token.secret}

    def instance(self, deployed: Deployed, **fields: object) -> Instance:
        """The outpost's one instance, once these fields are so in the database."""

        def found() -> Instance | None:
            with self.store.read() as unit:
                instances = unit.instances.of_outpost(deployed.outpost.id)
            fit = (each for each in instances if all(getattr(each, name) == fields[name] for name in fields))
            return next(fit, None)

        instance = eventually(found, f"an instance with {fields}")
        assert isinstance(instance, Instance)
        return instance

    def pushes(self) -> float:
        """How many configurations were sent and applied."""
        assert self._link
        return self._link.parts.metrics.registry.get_sample_value("garrison_link_push_seconds_count") or 0.0

    @property
    def link(self) -> Link:
        """The running link."""
        assert self._link
        return self._link

    def _start_web(self) -> BaseWSGIServer:
        assert self._link
        app = make_app(self.store, self.control.clock, link_addresses=(f"127.0.0.1:{self._link.port}",))
        if "enrol" not in app.blueprints:
            enrol.register(app)
        self._web = make_server("127.0.0.1", 0, app, threaded=True)
        return self._web

    def _serve_link(self) -> None:
        self._loop.run_until_complete(self._run_link())
        self._loop.close()

    async def _run_link(self) -> None:
        async with self.control.link() as link:
            self._link = link
            self._started.set()
            await self._stop.wait()
