"""What the page of one outpost shows, read in one unit: for the whole page and for the parts that are swapped.

The token stands on it only after somebody asked to see it (`revealed`); until then the texts to copy have a
placeholder, so that looking at an outpost tells no secret and leaves no trace in the audit trail.
"""

from collections.abc import Mapping

from control.domain.outpost import Outpost
from control.fleet.instances import health
from control.fleet.launch import Home, Launch, launch_of
from control.fleet.outposts import assigned_providers
from control.fleet.rotation import TokenStatus, token_status
from control.fleet.tokens import find_token
from control.store import Unit
from control.web.context import web
from control.web.lookups import application_by_provider
from control.web.outposts.listing import instance_rows
from control.web.outposts.managed import find_managed, is_exclusive
from control.web.outposts.snippets import deployment_snippets

PLACEHOLDER = "PASTE-THE-TOKEN-HERE"


def read_page(unit: Unit, outpost: Outpost, *, revealed: bool = False) -> Mapping[str, object]:
    """Everything."""
    return {
        **read_instances(unit, outpost),
        **read_token(unit, outpost),
        **read_deployment(unit, outpost, revealed=revealed),
        **read_managed(unit, outpost),
        "providers": assigned_providers(unit, outpost),
        "applications": application_by_provider(unit.applications.all()),
    }


def read_instances(unit: Unit, outpost: Outpost) -> Mapping[str, object]:
    """The instances, with the search and the standing that the address names."""
    status = find_status(unit, outpost)
    found = health(unit, outpost, web().settings.version)
    rows = instance_rows(found, status.holdouts if status is not None else ())
    return {"outpost": outpost, "health": found, "rows": rows}


def read_token(unit: Unit, outpost: Outpost) -> Mapping[str, object]:
    """How the token stands. `silent` are instances too old to be sent a new one, or to say which one they have."""
    silent = [each for each in unit.instances.of_outpost(outpost.id) if not each.environment_token]
    return {"outpost": outpost, "status": find_status(unit, outpost), "silent": silent}


def read_deployment(unit: Unit, outpost: Outpost, *, revealed: bool) -> Mapping[str, object]:
    """How to deploy one more instance."""
    token = find_token(unit, outpost)
    deployment = _deployment(outpost, token.secret if token is not None and revealed else PLACEHOLDER)
    return {
        "outpost": outpost,
        "token": token,
        "revealed": revealed,
        "deployment": deployment,
        "snippets": deployment_snippets(deployment) if token is not None else (),
    }


def read_managed(unit: Unit, outpost: Outpost) -> Mapping[str, object]:
    """How control's own deployment of it stands; `unheard` is how it was started that isn't connected."""
    managed = find_managed(unit, outpost)
    unheard = _deployment(outpost, PLACEHOLDER) if managed is not None and managed.is_unheard else None
    return {"outpost": outpost, "managed": managed, "unheard": unheard}


def read_question(unit: Unit, outpost: Outpost) -> Mapping[str, object]:
    """The same for whoever is about to deploy it; `exclusive`: what has to be replaced is away for a while."""
    return {**read_managed(unit, outpost), "exclusive": is_exclusive(_deployment(outpost, PLACEHOLDER))}


def find_status(unit: Unit, outpost: Outpost) -> TokenStatus | None:
    """How the token's rotation stands; None where the outpost has no token in force."""
    return token_status(unit, outpost) if find_token(unit, outpost) is not None else None


def _deployment(outpost: Outpost, token: str) -> Launch:
    settings = web().settings
    return launch_of(outpost, token, Home(url=settings.url, version=settings.version, image_base=settings.image_base))
