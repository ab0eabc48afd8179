"""LDAP messages (RFC 4511) as plain values: what `wire` decodes and encodes and `handler` answers.

Distinguished names and attribute descriptions are text as the client wrote it; what they mean is `dn`'s and `schema`'s
to say. Values of assertions stay bytes. Operations that are refused whatever they hold keep only what names them.
"""

from dataclasses import dataclass, field
from enum import IntEnum


class ResultCode(IntEnum):
    """RFC 4511 section 4.1.9 and appendix A; those that this server sends."""

    SUCCESS = 0
    OPERATIONS_ERROR = 1
    PROTOCOL_ERROR = 2
    TIME_LIMIT_EXCEEDED = 3
    SIZE_LIMIT_EXCEEDED = 4
    COMPARE_FALSE = 5
    COMPARE_TRUE = 6
    AUTH_METHOD_NOT_SUPPORTED = 7
    STRONGER_AUTH_REQUIRED = 8
    ADMIN_LIMIT_EXCEEDED = 11
    UNAVAILABLE_CRITICAL_EXTENSION = 12
    CONFIDENTIALITY_REQUIRED = 13
    NO_SUCH_ATTRIBUTE = 16
    UNDEFINED_ATTRIBUTE_TYPE = 17
    INAPPROPRIATE_MATCHING = 18
    CONSTRAINT_VIOLATION = 19
    INVALID_ATTRIBUTE_SYNTAX = 21
    NO_SUCH_OBJECT = 32
    INVALID_DN_SYNTAX = 34
    INVALID_CREDENTIALS = 49
    INSUFFICIENT_ACCESS_RIGHTS = 50
    BUSY = 51
    UNAVAILABLE = 52
    UNWILLING_TO_PERFORM = 53
    OTHER = 80


class Scope(IntEnum):
    """RFC 4511 section 4.5.1.2; subordinates is of draft-sermersheim-ldap-subordinate-scope."""

    BASE = 0
    ONE_LEVEL = 1
    SUBTREE = 2
    SUBORDINATES = 3


@dataclass(frozen=True, slots=True, kw_only=True)
class Control:
    """RFC 4511 section 4.1.11."""

    oid: str
    critical: bool = False
    value: bytes | None = None


# Filters, RFC 4511 section 4.5.1.7.


@dataclass(frozen=True, slots=True)
class And:
    """True where all are; without any, always (RFC 4526)."""

    filters: "tuple[Filter, ...]"


@dataclass(frozen=True, slots=True)
class Or:
    """True where one is; without any, never (RFC 4526)."""

    filters: "tuple[Filter, ...]"


@dataclass(frozen=True, slots=True)
class Not:
    """The other way round; of what is undefined, undefined."""

    filter: "Filter"


@dataclass(frozen=True, slots=True)
class Present:
    """The entry has the attribute."""

    attribute: str


@dataclass(frozen=True, slots=True)
class Equality:
    """A value is equal."""

    attribute: str
    value: bytes


@dataclass(frozen=True, slots=True)
class GreaterOrEqual:
    """A value is as great or greater."""

    attribute: str
    value: bytes


@dataclass(frozen=True, slots=True)
class LessOrEqual:
    """A value is as small or smaller."""

    attribute: str
    value: bytes


@dataclass(frozen=True, slots=True)
class Approximate:
    """A value is about equal."""

    attribute: str
    value: bytes


@dataclass(frozen=True, slots=True, kw_only=True)
class Substrings:
    """A value begins with, holds in this order, and ends with these; at least one is there."""

    attribute: str
    initial: bytes | None = None
    any: tuple[bytes, ...] = ()
    final: bytes | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Extensible:
    """A value of the attribute (of any attribute that the rule is for) matches by the rule (by its own equality)."""

    rule: str | None = None
    attribute: str | None = None
    value: bytes
    dn_attributes: bool = False


@dataclass(frozen=True, slots=True)
class Unknown:
    """A choice that RFC 4511 doesn't have; undefined."""

    tag: int


Filter = (
    And | Or | Not | Present | Equality | GreaterOrEqual | LessOrEqual | Approximate | Substrings | Extensible | Unknown
)


# Requests.


@dataclass(frozen=True, slots=True)
class Simple:
    """A password, as it is."""

    password: bytes = field(repr=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class Sasl:
    """A SASL mechanism; none is served."""

    mechanism: str
    credentials: bytes | None = field(default=None, repr=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class Bind:
    """RFC 4511 section 4.2. `authentication` is None for a choice that RFC 4511 doesn't know."""

    version: int
    name: str
    authentication: Simple | Sasl | None


@dataclass(frozen=True, slots=True)
class Unbind:
    """Section 4.3."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Search:
    """Section 4.5. `dereference` is what the client said of aliases, of which there are none."""

    base: str
    scope: Scope
    dereference: int = 0
    size_limit: int = 0
    time_limit: int = 0
    types_only: bool = False
    filter: Filter
    attributes: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Compare:
    """Section 4.10."""

    entry: str
    attribute: str
    value: bytes


@dataclass(frozen=True, slots=True)
class Add:
    """Section 4.7; refused."""

    entry: str


@dataclass(frozen=True, slots=True)
class Modify:
    """Section 4.6; refused."""

    entry: str


@dataclass(frozen=True, slots=True)
class Delete:
    """Section 4.8; refused."""

    entry: str


@dataclass(frozen=True, slots=True)
class ModifyDn:
    """Section 4.9; refused."""

    entry: str


@dataclass(frozen=True, slots=True)
class Abandon:
    """Section 4.11."""

    message_id: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Extended:
    """Section 4.12."""

    oid: str
    value: bytes | None = field(default=None, repr=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class Result:
    """How an operation ended, section 4.1.9. No referrals: this server knows of no other."""

    code: ResultCode
    matched_dn: str = ""
    diagnostic: str = ""


SUCCESS = Result(code=ResultCode.SUCCESS)


# Responses that `wire.encode_response` encodes; entries of searches are encoded ahead of time.


@dataclass(frozen=True, slots=True)
class BindResponse:
    """Section 4.2.2."""

    result: Result


@dataclass(frozen=True, slots=True)
class SearchDone:
    """Section 4.5.2."""

    result: Result


@dataclass(frozen=True, slots=True)
class CompareResponse:
    """Section 4.10."""

    result: Result


@dataclass(frozen=True, slots=True)
class AddResponse:
    """Section 4.7."""

    result: Result


@dataclass(frozen=True, slots=True)
class ModifyResponse:
    """Section 4.6."""

    result: Result


@dataclass(frozen=True, slots=True)
class DeleteResponse:
    """Section 4.8."""

    result: Result


@dataclass(frozen=True, slots=True)
class ModifyDnResponse:
    """Section 4.9."""

    result: Result


@dataclass(frozen=True, slots=True, kw_only=True)
class ExtendedResponse:
    """Section 4.12; with message id 0 and the OID of section 4.4.1 the notice of disconnection."""

    result: Result
    oid: str | None = None
    value: bytes | None = field(default=None, repr=False)


Response = (
    BindResponse
    | SearchDone
    | CompareResponse
    | AddResponse
    | ModifyResponse
    | DeleteResponse
    | ModifyDnResponse
    | ExtendedResponse
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Malformed:
    """A request soundly encoded whose contents aren't what they must be; `response` says so (section 4.1.1).

    `limit` names the limit that it passed, where that is why.
    """

    response: Response
    limit: str | None = None


Request = Bind | Unbind | Search | Compare | Add | Modify | Delete | ModifyDn | Abandon | Extended | Malformed


@dataclass(frozen=True, slots=True, kw_only=True)
class Message:
    """The envelope of a request, section 4.1.1. `id` is 1 to 2,147,483,647. A malformed one has no controls."""

    id: int
    request: Request
    controls: tuple[Control, ...] = ()


# Values of controls and extended operations.


@dataclass(frozen=True, slots=True, kw_only=True)
class Paged:
    """RFC 2696: the page size asked for, 0 or more (in answers an estimate of all), and the cookie."""

    size: int
    cookie: bytes = b""


@dataclass(frozen=True, slots=True, kw_only=True)
class SortKey:
    """RFC 2891 section 1.1: one attribute to sort by, and the ordering rule if not its own."""

    attribute: str
    rule: str | None = None
    reverse: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class PasswordModify:
    """RFC 3062 section 2."""

    identity: str | None = None
    old: bytes | None = field(default=None, repr=False)
    new: bytes | None = field(default=None, repr=False)
