"""The directory over LDAP version 3 (RFC 4510 and those it names), as authentik's outposts lay it out."""

from dataplane.compiled import search_path

COMPILED = (
    *("ber", "filterwire", "session", "values", "wire"),
    *("blobs", "candidates", "controls", "described", "filters", "filters_match", "filters_resolve", "hits", "places"),
    *("directory", "indexes", "membership", "planning", "plans", "postings", "prepare", "rendering", "rootdse"),
    *("holdings", "pace", "schema", "search", "selection", "settling", "sorting", "tree", "views", "virtuals"),
)
"""Modules that are compiled where they can be, all together: the way of a search, and what fills the directory.

They take constants from one another only.
"""

__path__ = search_path(__path__[-1], COMPILED)
