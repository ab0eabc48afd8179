"""Syntaxes (RFC 4517 section 3.3): what is of them, and the keys of numbers, times and the like."""

from datetime import UTC, datetime, timedelta, timezone

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dataplane.protocols.ldap import syntaxes
from dataplane.protocols.ldap.syntaxes import SYNTAXES, Syntax

GOOD = [
    (syntaxes.INTEGER, b"0"),
    (syntaxes.INTEGER, b"-1"),
    (syntaxes.INTEGER, b"123456789012345678901234567890"),
    (syntaxes.BOOLEAN, b"TRUE"),
    (syntaxes.BOOLEAN, b"false"),
    (syntaxes.DIRECTORY_STRING, "Jörg".encode()),
    (syntaxes.DIRECTORY_STRING, b" "),
    (syntaxes.IA5_STRING, b""),
    (syntaxes.NUMERIC_STRING, b"15 079 672 281"),
    (syntaxes.TELEPHONE_NUMBER, b"+1 512 315 0280"),
    (syntaxes.PRINTABLE_STRING, b"This is a PrintableString."),
    (syntaxes.COUNTRY, b"DE"),
    (syntaxes.BIT_STRING, b"'0101111101'B"),
    (syntaxes.BIT_STRING, b"''B"),
    (syntaxes.OID, b"1.2.3.4"),
    (syntaxes.OID, b"cn"),
    (syntaxes.DN, b""),
    (syntaxes.DN, b"UID=jsmith,DC=example,DC=net"),
    (syntaxes.JPEG, b"\xff\xd8\xff\xe0"),
    (syntaxes.UNIVERSAL_ID, b"597ae2f6-16a6-1027-98f4-D28B5365DC14"),
    (syntaxes.OCTET_STRING, b""),
]
BAD = [
    (syntaxes.INTEGER, b""),
    (syntaxes.INTEGER, b"01"),
    (syntaxes.INTEGER, b"-0"),
    (syntaxes.INTEGER, b"+1"),
    (syntaxes.INTEGER, b" 1"),
    (syntaxes.INTEGER, b"1.0"),
    (syntaxes.INTEGER, "١".encode()),
    (syntaxes.INTEGER, b"9" * 5000),
    (syntaxes.BOOLEAN, b"1"),
    (syntaxes.BOOLEAN, b"TRUE "),
    (syntaxes.DIRECTORY_STRING, b""),
    (syntaxes.DIRECTORY_STRING, b"\xff"),
    (syntaxes.IA5_STRING, "ö".encode()),
    (syntaxes.NUMERIC_STRING, b"1-2"),
    (syntaxes.NUMERIC_STRING, b""),
    (syntaxes.TELEPHONE_NUMBER, b"12*34"),
    (syntaxes.TELEPHONE_NUMBER, b""),
    (syntaxes.COUNTRY, b"DEU"),
    (syntaxes.BIT_STRING, b"'2'B"),
    (syntaxes.OID, b"1..2"),
    (syntaxes.OID, b"1"),
    (syntaxes.OID, b"c_n"),
    (syntaxes.DN, b"no name"),
    (syntaxes.DN, b"\xff"),
    (syntaxes.JPEG, b"GIF89a"),
    (syntaxes.UNIVERSAL_ID, b"597ae2f616a6102798f4d28b5365dc14"),
    (syntaxes.GENERALIZED_TIME, b"20200101000000"),
]


@pytest.mark.parametrize(("syntax", "value"), GOOD)
def test_of_the_syntax(syntax: Syntax, value: bytes) -> None:
    assert syntax.holds(value)


@pytest.mark.parametrize(("syntax", "value"), BAD)
def test_not_of_the_syntax(syntax: Syntax, value: bytes) -> None:
    assert not syntax.holds(value)


TIMES = [
    (b"199412161032Z", b"19941216103200"),
    (b"199412160532-0500", b"19941216103200"),
    (b"1994121610Z", b"19941216100000"),
    (b"1994121610.5Z", b"19941216103000"),
    (b"199412161032,25Z", b"19941216103215"),
    (b"19941216103200.50Z", b"19941216103200.5"),
    (b"19941216103200.000Z", b"19941216103200"),
    (b"1994121610.3333Z", b"19941216101959.88"),
    (b"20200101000000+0100", b"20191231230000"),
    (b"20200229235960Z", b"20200301000000"),
    (b"20200101003000+01", b"20191231233000"),
    (b"00090101000000Z", b"00090101000000"),
]


@pytest.mark.parametrize(("value", "wanted"), TIMES)
def test_times_are_compared_in_utc(value: bytes, wanted: bytes) -> None:
    assert syntaxes.time_key(value) == wanted


@pytest.mark.parametrize(
    "value",
    [
        b"20200230000000Z", b"20201301000000Z", b"20200101240000Z", b"2020010100006Z", b"20200101000061Z",
        b"20200101000000", b"20200101000000z", b"20200101000000.Z", b"20200101000000+1", b"20200101000000+2400",
        b"00000101000000Z", b"00010101000000+0100", b"99991231235960Z", b"20200101Z", b"", b"now",
        b"20200101000000." + b"1" * 100 + b"Z", "2020010100000٠Z".encode(),
    ],
)  # fmt: skip
def test_what_is_no_time_has_no_key(value: bytes) -> None:
    assert syntaxes.time_key(value) is None


OFFSETS = st.integers(-23 * 60 - 59, 23 * 60 + 59).map(lambda minutes: timezone(timedelta(minutes=minutes)))
MOMENTS = st.datetimes(datetime(1000, 1, 3), datetime(9999, 12, 29), timezones=OFFSETS)  # noqa: DTZ001 bounds have none


@given(MOMENTS, MOMENTS)
def test_keys_of_times_sort_as_the_times_do(one: datetime, other: datetime) -> None:
    keys = [syntaxes.time_key(each.strftime("%Y%m%d%H%M%S.%f%z").encode()) for each in (one, other)]
    first, second = keys
    assert first is not None
    assert second is not None
    assert (first < second, first == second) == (one < other, one == other)


@given(st.integers(-62_135_596_800, 253_402_300_799))
def test_posix_times_are_written_and_read(posix: int) -> None:
    written = syntaxes.generalized_time(posix)
    assert syntaxes.GENERALIZED_TIME.holds(written)
    assert written[:4] == f"{(datetime(1970, 1, 1, tzinfo=UTC) + timedelta(seconds=posix)).year:04}".encode()
    assert syntaxes.time_key(written) == written[:-1]


@given(st.integers())
def test_integers_are_read(number: int) -> None:
    assert syntaxes.integer_key(str(number).encode()) == number


@given(st.binary(max_size=40))
def test_any_bytes_are_of_a_syntax_or_not(value: bytes) -> None:
    for syntax in SYNTAXES:
        assert syntax.holds(value) in (True, False)


def test_a_syntax_has_one_oid() -> None:
    assert len({syntax.oid for syntax in SYNTAXES}) == len(SYNTAXES)
