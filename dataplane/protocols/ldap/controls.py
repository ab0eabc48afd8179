"""Controls of requests (RFC 4511 section 4.1.11).

Those that are served are read; others are refused where they are critical, and otherwise as good as not there.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from dataplane.protocols.ldap.messages import Control, Paged, Result, ResultCode, SortKey
from dataplane.protocols.ldap.rootdse import MANAGE_DSA_IT, PAGED_RESULTS, SERVER_SIDE_SORTING
from dataplane.protocols.ldap.values import decode_paged, decode_sort
from dataplane.sansio import PeerError

OF_SEARCH = frozenset((MANAGE_DSA_IT, PAGED_RESULTS, SERVER_SIDE_SORTING))
OF_OTHERS = frozenset((MANAGE_DSA_IT,))
"""Of compare; there are no referrals, so there is nothing that it changes."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SearchControls:
    """What the controls of a search ask for. `sort_value` is the sort control's value as sent."""

    paged: Paged | None = None
    sort: tuple[SortKey, ...] = ()
    sort_value: bytes | None = None
    sort_critical: bool = False


NONE = SearchControls()


def refused(controls: Sequence[Control], served: frozenset[str]) -> Result | None:
    """The answer where a critical control isn't served for the operation; None where all is well."""
    for control in controls:
        if control.critical and control.oid not in served:
            return Result(
                code=ResultCode.UNAVAILABLE_CRITICAL_EXTENSION,
                diagnostic=f"the control {control.oid} is not served here",
            )
    return None


def search_controls(controls: Sequence[Control]) -> SearchControls | Result:
    """Read the controls of a search; the answer to it where that can't be done."""
    if not controls:
        return NONE
    if (refusal := refused(controls, OF_SEARCH)) is not None:
        return refusal
    found = {control.oid: control for control in controls}
    if len(found) < len(controls):
        return Result(code=ResultCode.PROTOCOL_ERROR, diagnostic="a control is there twice")
    paged, sort = found.get(PAGED_RESULTS), found.get(SERVER_SIDE_SORTING)
    try:
        return SearchControls(
            paged=None if paged is None else decode_paged(paged.value),
            sort=() if sort is None else decode_sort(sort.value),
            sort_value=None if sort is None else sort.value,
            sort_critical=sort is not None and sort.critical,
        )
    except PeerError as error:
        return Result(code=ResultCode(error.code), diagnostic=error.reason)
