"""Text as it is compared: transcode, map, normalise, prohibit and handle insignificant characters (RFC 4518).

Bytes of UTF-8 in, bytes of UTF-8 out; None for what can't be compared. A key has its words parted by one space; what
pieces of it are looked for in, and the pieces, are spelled as section 2.6.1 has it, one space at each end and two
between words: `spread` and the functions of pieces. Three things differ from the letter. Code points that Unicode had
not assigned in 2002 are let through: people's names hold some. More than 30 combining marks in a row are prohibited
(UAX #15 section 13): no language has them, and putting a run in order takes time by the square of its length. And a
space that a combining mark follows, which is not a space there, becomes U+00A0, which nothing else leaves behind.
"""

import re
import unicodedata
from enum import Enum

# Section 2.2, in ASCII: controls go, but for those that are white space, and that is what bytes.split splits at.
_CONTROLS = bytes(code for code in (*range(0x20), 0x7F) if not bytes((code,)).isspace())
_SPACES = bytes.maketrans(b"\t\n\v\f\r", b"     ")
_LOWER = _SPACES.lower()
_HYPHENS = "\u002d\u058a\u2010\u2011\u2212\ufe63\uff0d"
_KEPT_SPACE = "\u00a0"
_REPLACEMENT = "\ufffd"


class Place(Enum):
    """Where in the value a piece of a substring assertion stands; spaces at its ends count by that (section 2.6.1)."""

    INITIAL = "initial"
    ANY = "any"
    FINAL = "final"


def ignore_case(value: bytes) -> bytes | None:
    """Return the key of caseIgnoreMatch; None of the empty value, of what isn't UTF-8, and of prohibited text."""
    if value.isascii():
        return b" ".join(value.translate(_LOWER, _CONTROLS).split()) or (b" " if value else None)
    text = _prepared(value, fold=True)
    return None if text is None else _collapsed(text)


def exact_case(value: bytes) -> bytes | None:
    """Return the key of caseExactMatch; None as of `ignore_case`."""
    if value.isascii():
        return b" ".join(value.translate(None, _CONTROLS).split()) or (b" " if value else None)
    text = _prepared(value, fold=False)
    return None if text is None else _collapsed(text)


def spread(key: bytes) -> bytes:
    """Return the text of a key as pieces are looked for in it: one space at each end, two between words."""
    return b"  " if key == b" " else b" " + key.replace(b" ", b"  ") + b" "


def ignore_case_piece(piece: bytes, place: Place) -> bytes | None:
    """Prepare a piece of a substring assertion, without regard to case."""
    return _piece(piece, place, fold=True)


def exact_case_piece(piece: bytes, place: Place) -> bytes | None:
    """Prepare a piece of a substring assertion."""
    return _piece(piece, place, fold=False)


def without_spaces(value: bytes) -> bytes:
    """Return a numeric string as it is compared: spaces don't count (section 2.6.2)."""
    return value.replace(b" ", b"")


def telephone(value: bytes) -> bytes | None:
    """Return a telephone number as it is compared: neither case, nor spaces, nor hyphens count (section 2.6.3)."""
    text = _prepared(value, fold=True)
    return None if text is None else text.translate(_TELEPHONE).encode()


def _prepared(value: bytes, *, fold: bool) -> str | None:
    if value.isascii():
        return value.translate(_LOWER if fold else _SPACES, _CONTROLS).decode() if value else None
    try:
        text = value.decode()
    except UnicodeDecodeError:
        return None
    text = text.translate(_MAPPED)
    if _TOO_MANY_MARKS.search(text):
        return None
    if fold:
        # Folding may undo normal form and the other way round; twice each is stable (Unicode 3.13, D146).
        text = unicodedata.normalize("NFKC", unicodedata.normalize("NFD", text).casefold()).casefold()
    text = unicodedata.normalize("NFKC", text)
    if _is_prohibited(text):
        return None
    return _with_kept_spaces(text)


def _is_prohibited(text: str) -> bool:
    if _REPLACEMENT in text:
        return True
    return not text.isprintable() and _PROHIBITED.search(text) is not None


def _with_kept_spaces(text: str) -> str:
    if " " not in text or text.isascii():
        return text
    return re.sub(" (?=(.))", _kept_space, text, flags=re.DOTALL)


def _kept_space(space: re.Match[str]) -> str:
    return _KEPT_SPACE if unicodedata.category(space[1])[0] == "M" else " "


def _collapsed(text: str) -> bytes:
    return " ".join(word for word in text.split(" ") if word).encode() or b" "


def _piece(piece: bytes, place: Place, *, fold: bool) -> bytes | None:
    text = _prepared(piece, fold=fold)
    if text is None:
        return None
    words = [word for word in text.split(" ") if word]
    if not words:
        return b" "
    lead = " " if place is Place.INITIAL or text[0] == " " else ""
    trail = " " if place is Place.FINAL or text[-1] == " " else ""
    return f"{lead}{'  '.join(words)}{trail}".encode()


def _mapping() -> dict[int, str | None]:
    """Section 2.2: what becomes a space, what goes; with the invisible characters that Unicode has got since."""
    spaces = (*range(0x09, 0x0E), 0x85, 0xA0, 0x1680, *range(0x2000, 0x200B), 0x2028, 0x2029, 0x202F, 0x205F, 0x3000)
    ranges = (
        (0x00, 0x08), (0x0E, 0x1F), (0x7F, 0x84), (0x86, 0x9F), (0xAD, 0xAD), (0x34F, 0x34F), (0x61C, 0x61C),
        (0x6DD, 0x6DD), (0x70F, 0x70F), (0x1806, 0x1806), (0x180B, 0x180F), (0x200B, 0x200F), (0x202A, 0x202E),
        (0x2060, 0x206F), (0xFE00, 0xFE0F), (0xFEFF, 0xFEFF), (0xFFF9, 0xFFFC), (0x1D173, 0x1D17A),
        (0xE0001, 0xE0001), (0xE0020, 0xE007F),
    )  # fmt: skip
    gone: dict[int, str | None] = {code: None for first, last in ranges for code in range(first, last + 1)}
    return gone | dict.fromkeys(spaces, " ")


_MAPPED = _mapping()
_TELEPHONE = {ord(character): None for character in f" {_HYPHENS}"}


def _marks() -> str:
    """What is a combining mark, or is one once it is normalised; no such characters lie beyond plane 1."""
    characters = map(chr, range(0x20000))
    return "".join(each for each in characters if unicodedata.combining(unicodedata.normalize("NFKD", each)[0]))


_TOO_MANY_MARKS = re.compile(f"[{_marks()}]{{31}}")
# Section 2.4: private use and non-characters; what changes the display is mapped to nothing before, or by NFKC.
_PROHIBITED = re.compile(
    "[\ue000-\uf8ff\ufdd0-\ufdef\U000f0000-\U0010ffff"
    + "".join(chr(plane << 16 | last) for plane in range(15) for last in (0xFFFE, 0xFFFF))
    + "]"
)
