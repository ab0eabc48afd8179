"""The directory over LDAP version 3 (RFC 4510 and those it names), as authentik's outposts lay it out."""

from dataplane.compiled import search_path

COMPILED = (
    *("ber", "blobs", "candidates", "controls", "described", "directory", "filters", "filters_match"),
    *("filters_resolve", "filterwire", "hits", "holdings", "indexes", "member_lists", "membership", "pace"),
    *("places", "planning", "plans", "postings", "prepare", "rendering", "rootdse", "schema"),
    *("search", "selection", "session", "settling", "sorting", "tree", "values", "views"),
    *("virtuals", "wire"),
)
"""Modules that are compiled where they can be, all together: the way of a search, and what fills the directory.

They take constants from one another only.
"""

__path__ = search_path(__path__[-1], COMPILED)
