"""Messages and their bytes, by name: one table for reading whole, byte by byte, cut off, and with too much behind.

The bytes are written out, so that nothing of ours says what is right.
"""

from dataclasses import replace

from dataplane.protocols.ldap.messages import (
    SUCCESS,
    Abandon,
    Add,
    AddResponse,
    And,
    Approximate,
    Bind,
    BindResponse,
    Compare,
    CompareResponse,
    Control,
    Delete,
    DeleteResponse,
    Equality,
    Extended,
    ExtendedResponse,
    Extensible,
    Filter,
    GreaterOrEqual,
    LessOrEqual,
    Message,
    Modify,
    ModifyDn,
    ModifyDnResponse,
    ModifyResponse,
    Not,
    Or,
    Present,
    Request,
    Response,
    Result,
    ResultCode,
    Sasl,
    Scope,
    Search,
    SearchDone,
    Simple,
    Substrings,
    Unbind,
    Unknown,
)


def _request(
    name: str, request: Request, *parts: str, controls: tuple[Control, ...] = ()
) -> tuple[str, Message, bytes]:
    return name, Message(id=5, request=request, controls=controls), bytes.fromhex("".join(parts))


def _search(name: str, sought: Filter, encoded: str) -> tuple[str, Message, bytes]:
    """A search of the root for everything that matches, whose other parts take 22 bytes."""
    data = bytes.fromhex(encoded)
    length = 21 + len(data)
    operation = (
        bytes((0x63, length)) + bytes.fromhex("0400 0a0102 0a0103 020100 020100 010100") + data + b"\x30\x02\x04\x00"
    )
    request = Search(base="", scope=Scope.SUBTREE, dereference=3, filter=sought, attributes=("",))
    return name, Message(id=5, request=request), bytes((0x30, 3 + len(operation), 2, 1, 5)) + operation


NOBODY = Bind(version=3, name="", authentication=Simple(b""))

REQUESTS = [
    _request("anonymous bind", NOBODY, "300c 020105 6007 020103 0400 8000"),
    _request(
        "simple bind",
        Bind(version=3, name="cn=é", authentication=Simple(b"\xff\x00")),
        "3013 020105 600e 020103 0405 636e3dc3a9 8002 ff00",
    ),
    _request("bind of version 1", replace(NOBODY, version=1), "300c020105 6007 020101 04008000"),
    _request(
        "SASL bind",
        Bind(version=3, name="", authentication=Sasl(mechanism="PLAIN", credentials=b"x")),
        "3016 020105 6011 020103 0400 a30a 0405 504c41494e 0401 78",
    ),
    _request(
        "SASL bind without credentials",
        Bind(version=3, name="", authentication=Sasl(mechanism="GSSAPI")),
        "3014 020105 600f 020103 0400 a308 0406 475353415049",
    ),
    _request(
        "bind by a choice of another time",
        Bind(version=3, name="", authentication=None),
        "300d 020105 6008 020103 0400 8a01 78",
    ),
    _request("unbind", Unbind(), "3005 020105 4200"),
    _request("abandon", Abandon(2**31 - 1), "3009 020105 5004 7fffffff"),
    _request("delete", Delete("cn=x"), "3009 020105 4a04 636e3d78"),
    _request("modify", Modify("cn=x"), "300d 020105 6608 0404 636e3d78 3000"),
    _request("add", Add("cn=x"), "300d 020105 6808 0404 636e3d78 3000"),
    _request("modify DN", ModifyDn("cn=x"), "3014 020105 6c0f 0404 636e3d78 0404 636e3d79 0101ff"),
    _request(
        "compare",
        Compare(entry="cn=x", attribute="sn", value=b"\x80"),
        "3014 020105 6e0f 0404 636e3d78 3007 0402 736e 0401 80",
    ),
    _request(
        "who am I", Extended(oid="1.3.6.1"), "300e 020105 7709 8007 312e332e362e31"
    ),
    _request(
        "extended with a value",
        Extended(oid="1.3.6.1", value=b""),
        "3010 020105 770b 8007 312e332e362e31 8100",
    ),
    _request(
        "controls",
        Unbind(),
        "301e 020105 4200 a017 3006 0401 31 0101ff 3003 0401 32 3008 0401 33 010100 0400",
        controls=(Control(oid="1", critical=True), Control(oid="2"), Control(oid="3", value=b"")),
    ),
    _request("an empty list of controls", Unbind(), "3007 020105 4200 a000"),
    # As Microsoft's library spells lengths, and others message ids.
    _request("long lengths", NOBODY, "308400000018 020105 60840000000f 020103 048400000000 808400000000"),
    _request("longest lengths", Unbind(), "30 880000000000000005 020105 4200"),
    _request("a long message id", Unbind(), "3009 0205 0000000005 4200"),
    # A later version may add to the end of what is there (section 4).
    _request("more behind a bind", NOBODY, "300e 020105 6009 020103 0400 8000 8500"),
    _request("more behind the controls", Unbind(), "300a 020105 4200 a000 8a01 78"),
    _search("present", Present("objectClass"), "870b 6f626a656374436c617373"),
    _search("equality", Equality("cn", b"x"), "a307 0402 636e 0401 78"),
    _search("equality with an empty value", Equality("cn", b""), "a306 0402 636e 0400"),
    _search("as great", GreaterOrEqual("cn", b"x"), "a507 0402 636e 0401 78"),
    _search("as small", LessOrEqual("cn", b"x"), "a607 0402 636e 0401 78"),
    _search("about", Approximate("cn", b"x"), "a807 0402 636e 0401 78"),
    _search("and of none", And(()), "a000"),
    _search("or of none", Or(()), "a100"),
    _search("and", And((Present("a"), Present("b"))), "a006 8701 61 8701 62"),
    _search("or", Or((Present("a"), Not(Present("b")))), "a108 8701 61 a203 8701 62"),
    _search("substrings", Substrings(attribute="cn", initial=b"a", any=(b"b", b"c"), final=b"d"),
            "a412 0402 636e 300c 8001 61 8101 62 8101 63 8201 64"),
    _search("the beginning", Substrings(attribute="cn", initial=b"a"), "a409 0402 636e 3003 8001 61"),
    _search("the middle", Substrings(attribute="cn", any=(b"a",)), "a409 0402 636e 3003 8101 61"),
    _search("the end", Substrings(attribute="cn", final=b"a"), "a409 0402 636e 3003 8201 61"),
    _search("extensible", Extensible(rule="1.2", attribute="cn", value=b"x", dn_attributes=True),
            "a90f 8103 312e32 8202 636e 8301 78 8401 01"),
    _search("extensible by rule", Extensible(rule="1.2", value=b""), "a907 8103 312e32 8300"),
    _search("extensible by attribute", Extensible(attribute="cn", value=b""), "a906 8202 636e 8300"),
    _search("extensible, not of the DN", Extensible(attribute="cn", value=b""), "a909 8202 636e 8300 840100"),
    _search("a filter of another time", Unknown(0xAA), "aa03 8701 61"),
    _search("not a filter of another time", Not(Unknown(0x8B)), "a202 8b00"),
    _search("more behind an assertion", Equality("cn", b"x"), "a309 0402 636e 0401 78 8500"),
    _request(
        "search",
        Search(
            base="dc=x", scope=Scope.ONE_LEVEL, dereference=1, size_limit=1000, time_limit=2**31 - 1, types_only=True,
            filter=Present("a"), attributes=("cn", "+"),
        ),
        "302a 020105 6325 0404 64633d78 0a0101 0a0101 0202 03e8 0204 7fffffff 0101ff 8701 61 3007 0402 636e 0401 2b",
    ),
    _request(
        "search of subordinates, for all attributes",
        Search(base="", scope=Scope.SUBORDINATES, filter=Present("a")),
        "301b 020105 6316 0400 0a0103 0a0100 020100 020100 010100 8701 61 3000",
    ),
]  # fmt: skip

RESPONSES: list[tuple[str, int, Response, tuple[Control, ...], bytes]] = [
    ("bind", 1, BindResponse(SUCCESS), (), bytes.fromhex("300c 020101 6107 0a0100 0400 0400")),
    (
        "wrong password",
        127,
        BindResponse(Result(code=ResultCode.INVALID_CREDENTIALS, diagnostic="é")),
        (),
        bytes.fromhex("300e 02017f 6109 0a0131 0400 0402 c3a9"),
    ),
    (
        "search done, nothing there",
        128,
        SearchDone(Result(code=ResultCode.NO_SUCH_OBJECT, matched_dn="dc=x")),
        (),
        bytes.fromhex("3011 02020080 650b 0a0120 0404 64633d78 0400"),
    ),
    (
        "search done with controls",
        2**31 - 1,
        SearchDone(SUCCESS),
        (Control(oid="1", value=b"x"), Control(oid="2", critical=True)),
        bytes.fromhex("3021 02047fffffff 6507 0a0100 0400 0400 a010 3006 0401 31 0401 78 3006 0401 32 0101ff"),
    ),
    ("compare", 1, CompareResponse(Result(code=ResultCode.COMPARE_TRUE)), (),
     bytes.fromhex("300c 020101 6f07 0a0106 0400 0400")),
    ("modify", 1, ModifyResponse(SUCCESS), (), bytes.fromhex("300c 020101 6707 0a0100 0400 0400")),
    ("add", 1, AddResponse(SUCCESS), (), bytes.fromhex("300c 020101 6907 0a0100 0400 0400")),
    ("delete", 1, DeleteResponse(SUCCESS), (), bytes.fromhex("300c 020101 6b07 0a0100 0400 0400")),
    ("modify DN", 1, ModifyDnResponse(SUCCESS), (), bytes.fromhex("300c 020101 6d07 0a0100 0400 0400")),
    ("extended", 1, ExtendedResponse(result=SUCCESS), (), bytes.fromhex("300c 020101 7807 0a0100 0400 0400")),
    (
        "who am I",
        1,
        ExtendedResponse(result=SUCCESS, value=b"u:x"),
        (),
        bytes.fromhex("3011 020101 780c 0a0100 0400 0400 8b03 753a78"),
    ),
    (
        "notice of disconnection",
        0,
        ExtendedResponse(result=Result(code=ResultCode.PROTOCOL_ERROR), oid="1.3.6.1.4.1.1466.20036"),
        (),
        bytes.fromhex("3024 020100 781f 0a0102 0400 0400 8a16") + b"1.3.6.1.4.1.1466.20036",
    ),
]  # fmt: skip
