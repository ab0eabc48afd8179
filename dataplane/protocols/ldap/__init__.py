"""The directory over LDAP version 3 (RFC 4510 and those it names), as authentik's outposts lay it out."""

from dataplane.compiled import search_path

COMPILED = (
    *("ber", "blobs", "filterwire", "session", "values", "wire"),
    *("candidates", "controls", "described", "filters", "filters_match", "filters_resolve", "hits", "places", "views"),
    *("directory", "indexes", "membership", "planning", "postings", "prepare", "rendering", "rootdse", "virtuals"),
    *(
        "blobs",
        "holdings",
        "member_lists",
        "pace",
        "plans",
        "schema",
        "search",
        "selection",
        "settling",
        "sorting",
        "tree",
    ),
)
"""Modules that are compiled where they can be, all together: the way of a search, and what fills the directory.

They take constants from one another only.
"""

__path__ = search_path(__path__[-1], COMPILED)
