"""The directory over LDAP version 3 (RFC 4510 and those it names), as authentik's outposts lay it out."""
