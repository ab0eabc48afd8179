"""`garrison healthcheck`: whether the control of this host is ready, told by the exit code.

It asks the metrics port, so it works where there is neither a shell nor curl, and also beside another user's `serve`.
"""

import http.client
import os
import sys

from control.main.arguments import Arguments
from control.main.processes import loopback
from control.settings import Given, Listen, read_settings

READY = "/-/health/ready/"
# Less than the five seconds that the image gives it: an answer that comes later is none.
SECONDS = 4.0


def healthcheck(arguments: Arguments) -> int:
    """0 where control is ready; else 1, and one line that says what was asked and what came back."""
    metrics = read_settings(Given(metrics=arguments.metrics), os.environ).metrics
    found = _asked(metrics)
    if found == http.client.NO_CONTENT:
        return 0
    sys.stderr.write(f"garrison: not ready: http://{loopback(metrics)}{READY} answered {found}, expected 204\n")
    return 1


def _asked(metrics: Listen) -> int | str:
    """The status, or in words why there was none."""
    connection = http.client.HTTPConnection(loopback(metrics), timeout=SECONDS)
    try:
        connection.request("GET", READY)
        return connection.getresponse().status
    except (OSError, http.client.HTTPException) as error:
        return f"nothing ({error})"
    finally:
        connection.close()
