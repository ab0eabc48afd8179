"""Preparation of text (RFC 4518): tables, and what must hold of any text."""

import sys
import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dataplane.protocols.ldap import prepare
from dataplane.protocols.ldap.prepare import Place

IGNORING = [
    ("plain", "jdoe", "jdoe"),
    ("case", "JDoe", "jdoe"),
    ("spaces at the ends and between", "  John \t  DOE\n", "john doe"),
    ("all spaces", "   ", " "),
    ("controls go", "j\0d\x7fo\x1be", "jdoe"),
    ("only a control", "\0", " "),
    ("next line is a space", "a\u0085b", "a b"),
    ("other spaces", "a\u00a0b\u3000c\u2003d", "a b c d"),
    ("line and paragraph separators", "a\u2028b\u2029c", "a b c"),
    ("soft hyphen and zero width", "ex\u00adam\u200bple\ufeff", "example"),
    ("variation selector", "\u2665\ufe0f", "\u2665"),
    ("bidi marks", "\u200eabc\u202e", "abc"),
    ("isolates, newer than the RFC", "\u2066abc\u2069", "abc"),
    ("umlaut composed", "JÖRG", "jörg"),
    ("umlaut decomposed", "JO\u0308RG", "jörg"),
    ("sharp s", "Straße", "strasse"),
    ("final sigma", "ΟΔΟΣ", "οδοσ"),
    ("ligature", "ﬁnal", "final"),
    ("full width", "ＡＢＣ１", "abc1"),
    ("emoji, newer than Unicode 3.2", "Jo \U0001fae0", "jo \U0001fae0"),
    ("Cyrillic", "ИВАН", "иван"),
    ("a space that carries a mark is none", "a \u0301b", "a\u00a0\u0301b"),
]


@pytest.mark.parametrize(("text", "wanted"), [row[1:] for row in IGNORING], ids=[row[0] for row in IGNORING])
def test_case_and_insignificant_characters_do_not_count(text: str, wanted: str) -> None:
    assert prepare.ignore_case(text.encode()) == wanted.encode()


@pytest.mark.parametrize(
    ("text", "wanted"),
    [("  John   DOE ", "John DOE"), ("JO\u0308RG", "JÖRG"), ("Straße", "Straße"), ("ﬁnal", "final"), ("  ", " ")],
)
def test_exact_matching_keeps_the_case(text: str, wanted: str) -> None:
    assert prepare.exact_case(text.encode()) == wanted.encode()


@pytest.mark.parametrize(
    "value",
    [
        b"",
        b"\xff",
        b"\xc3",
        b"\xed\xa0\x80",
        "\ue000".encode(),
        "\ufffd".encode(),
        "a\U0010ffff".encode(),
        b"\xef\xb7\x90",
        ("a" + "\u0301\u0316" * 16).encode(),
        ("a" + "\u0301\u00ad\u0316" * 15_000).encode(),
        ("a" + "\u0301\uff9e" * 15_000).encode(),
    ],
    ids=[
        *("empty", "no UTF-8", "cut off", "surrogate", "private", "replacement", "plane 16", "non-character"),
        *("31 marks", "marks with what doesn't count between", "marks by compatibility"),
    ],
)
def test_what_is_prohibited_has_no_key(value: bytes) -> None:
    assert prepare.ignore_case(value) is None
    assert prepare.exact_case(value) is None
    assert prepare.ignore_case_piece(value, Place.ANY) is None


def test_no_mark_lies_beyond_those_that_are_looked_for() -> None:
    beyond = map(chr, range(0x20000, sys.maxunicode + 1))
    assert not [each for each in beyond if unicodedata.combining(unicodedata.normalize("NFKD", each)[0])]


def test_thirty_marks_in_a_row_are_text() -> None:
    assert prepare.ignore_case(("a" + "\u0301\u0316" * 15).encode()) is not None


PIECES = [
    (Place.INITIAL, "foo", " foo"),
    (Place.INITIAL, "  foo  ", " foo "),
    (Place.ANY, "foo", "foo"),
    (Place.ANY, "  foo bar  ", " foo  bar "),
    (Place.FINAL, "foo  ", "foo "),
    (Place.FINAL, " foo", " foo "),
    (Place.ANY, "   ", " "),
    (Place.INITIAL, " ", " "),
    (Place.ANY, "FOO\tBar", "foo  bar"),
    (Place.FINAL, "ÖL", "öl "),
]


@pytest.mark.parametrize(("place", "piece", "wanted"), PIECES)
def test_spaces_of_pieces_count_by_their_place(place: Place, piece: str, wanted: str) -> None:
    """RFC 4518 section 2.6.1."""
    assert prepare.ignore_case_piece(piece.encode(), place) == wanted.encode()


@pytest.mark.parametrize(("key", "wanted"), [(b"foo", b" foo "), (b"foo bar", b" foo  bar "), (b" ", b"  ")])
def test_a_key_is_spread_as_the_letter_has_it(key: bytes, wanted: bytes) -> None:
    assert prepare.spread(key) == wanted


def test_hyphens_and_spaces_of_telephone_numbers_do_not_count() -> None:
    assert prepare.telephone(b"+49 (30) 123-45 6 EXT") == b"+49(30)123456ext"
    assert prepare.telephone("1\u20102\u22123".encode()) == b"123"


@given(st.binary(max_size=40))
def test_any_bytes_have_a_key_or_none(value: bytes) -> None:
    for function in (prepare.ignore_case, prepare.exact_case, prepare.telephone):
        assert isinstance(function(value), bytes | None)
    for place in Place:
        assert isinstance(prepare.ignore_case_piece(value, place), bytes | None)


@given(st.text(max_size=30))
def test_a_key_is_its_own_key(text: str) -> None:
    for function in (prepare.ignore_case, prepare.exact_case):
        key = function(text.encode())
        assert key is None or function(key) == key


@given(st.text(max_size=30))
def test_forms_of_one_text_have_one_key(text: str) -> None:
    forms = {prepare.exact_case(unicodedata.normalize(form, text).encode()) for form in ("NFC", "NFD")}
    assert len(forms) == 1


@given(st.text(st.characters(codec="ascii"), max_size=20))
def test_the_short_way_for_ascii_is_the_long_way(text: str) -> None:
    """A letter beyond ASCII sends the same text the long way."""
    short, long = prepare.ignore_case(f"x{text}".encode()), prepare.ignore_case(f"\u00e9x{text}".encode())
    assert short is not None
    assert long == "\u00e9".encode() + short


@given(st.lists(st.sampled_from(["a", "B", " ", "  ", "é", "ß"]), min_size=1, max_size=8), st.data())
def test_every_cut_of_a_value_is_held_by_it(parts: list[str], data: st.DataObject) -> None:
    text = "".join(parts)
    begin = data.draw(st.integers(0, len(text) - 1))
    end = data.draw(st.integers(begin + 1, len(text)))
    key = prepare.ignore_case(text.encode())
    piece = prepare.ignore_case_piece(text[begin:end].encode(), Place.ANY)
    assert key is not None
    assert piece is not None
    assert piece in prepare.spread(key)
