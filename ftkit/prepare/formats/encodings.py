"""Text files as UTF-8 lines: the encoding found by evidence or given by name, line ends of all kinds, no line too long.

Knows no file, no format and no row: bytes in, bytes out, in constant memory.
"""

from __future__ import annotations

import codecs
import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

LONGEST_LINE = 64 << 20  # bytes; a longer line is a fault, and is passed over without being held
SAMPLE_BYTES = 1 << 20
EVIDENCE = 3  # lines or words with other bytes: fewer do not tell an encoding from a damaged byte

UTF8 = "utf-8"
_MARKS = (  # UTF-32 first: its little-endian mark begins like that of UTF-16
    (codecs.BOM_UTF8, UTF8),
    (codecs.BOM_UTF32_LE, "utf-32"),
    (codecs.BOM_UTF32_BE, "utf-32"),
    (codecs.BOM_UTF16_LE, "utf-16"),
    (codecs.BOM_UTF16_BE, "utf-16"),
)
_NOT_TEXT = {"idna", "punycode", "undefined", "unicode_escape", "raw_unicode_escape"}
_CANDIDATES = [  # where texts read the same in several, the one that more files are in
    *("cp1252", "iso8859_15", "cp1250", "iso8859_2", "cp1251", "koi8_r", "cp932", "euc_jp", "cp949", "gb18030"),
    *("big5", "cp1253", "cp1254", "cp1255", "cp1256", "mac_roman", "cp437", "cp850"),
]
_OTHER_WORD = re.compile(rb"[^\s\x00-\x1f\"',:;{}\[\]]*[\x80-\xff][^\s\x00-\x1f\"',:;{}\[\]]*")


class NotTextError(ValueError):
    """A line that holds bytes which are no text; the message says which byte, and what to do."""


@dataclass(frozen=True, slots=True)
class Line:
    """A line without its end. `content` is None for one that is longer than LONGEST_LINE."""

    number: int
    content: bytes | None


def known(name: str) -> str:
    """Python's name of an encoding. Raises ValueError where it has none of that name, or it is none of text."""
    try:
        codec = codecs.lookup(name)
        "a,\n".encode(name).decode(name)
    except (LookupError, ValueError):
        raise ValueError(f"no encoding is called {name!r}; write cp1252, utf-16, shift_jis or the like") from None
    if codec.name.replace("-", "_") in _NOT_TEXT:
        raise ValueError(f"{name!r} is no encoding of text files")
    return codec.name


def detect(sample: bytes) -> str:
    """The encoding of a file by its first bytes: a byte-order mark, NUL patterns, valid UTF-8, or the looks of it.

    UTF-8 where most of what is not ASCII is valid UTF-8, and where too little tells of another encoding: lines that
    do not fit are then named one by one.
    """
    for mark, name in _MARKS:
        if sample.startswith(mark):
            return name
    if wide := _wide(sample):
        return wide
    try:
        codecs.getincrementaldecoder(UTF8)().decode(sample)
        return UTF8
    except UnicodeDecodeError:
        return _by_looks(sample)


def as_utf8(blocks: Iterable[bytes], encoding: str) -> Iterator[bytes]:
    """The same text in UTF-8, without a byte-order mark. What cannot be decoded becomes bytes that are not UTF-8."""
    if encoding in (UTF8, "utf-8-sig"):
        yield from _without_mark(blocks, codecs.BOM_UTF8)
        return
    codecs.register_error("ftkit.mark", _mark)
    decoder = codecs.getincrementaldecoder(encoding)("ftkit.mark")
    texts = (decoder.decode(block) for block in blocks)
    encoded = (text.encode(UTF8, "surrogatepass") for text in texts)
    yield from _without_mark(encoded, codecs.BOM_UTF8)
    if rest := decoder.decode(b"", final=True):
        yield rest.encode(UTF8, "surrogatepass")


def lines(blocks: Iterable[bytes], *, keep_ends: bool = False) -> Iterator[Line]:
    """The lines, numbered from 1. A line ends with \\n, \\r\\n or \\r, and the last one where the bytes end."""
    number, size, held = 1, 0, b""
    parts: list[bytes] = []
    for block in blocks:
        whole = held + block
        held = b"\r" if whole.endswith(b"\r") else b""  # the \n that belongs to it may begin the next block
        for piece in whole[: len(whole) - len(held)].splitlines(keepends=True):
            if parts or piece[-1] not in b"\r\n":
                size += len(piece)
                parts = [*parts, piece] if size <= LONGEST_LINE else [b""]
                if piece[-1] not in b"\r\n":
                    continue
                piece = b"".join(parts)
            yield _line(number, piece, size, keep_ends)
            number, parts, size = number + 1, [], 0
    if parts or held:
        yield _line(number, b"".join([*parts, held]), size, keep_ends)


def text_of(line: bytes, encoding: str) -> str:
    """A line as text. Raises NotTextError where it is not UTF-8, as the line of a file that is in `encoding`."""
    try:
        return line.decode()
    except UnicodeDecodeError as error:
        if encoding not in (UTF8, "utf-8-sig"):
            raise NotTextError(f"holds bytes that are not {encoding} (encoding of the source)") from None
        byte = f"byte {error.start + 1} of it (0x{line[error.start]:02x}) is not UTF-8"
        raise NotTextError(f"{byte}; mend it, or name what the file is in, as encoding: cp1252 of the source") from None


def _line(number: int, piece: bytes, size: int, keep_ends: bool) -> Line:
    if size > LONGEST_LINE:
        return Line(number, None)
    return Line(number, piece if keep_ends else piece.rstrip(b"\r\n"))


def _mark(error: UnicodeError) -> tuple[str, int]:
    assert isinstance(error, UnicodeDecodeError)
    return "\udcff", error.end


def _without_mark(blocks: Iterable[bytes], mark: bytes) -> Iterator[bytes]:
    first = b""
    rest = iter(blocks)
    for block in rest:
        first += block
        if len(first) >= len(mark):
            break
    if first := first.removeprefix(mark):
        yield first
    yield from rest


def _wide(sample: bytes) -> str:
    """UTF-16 or UTF-32 without a mark: in texts with ASCII among them, NULs stand where the high bytes do."""
    part = sample[: 4 << 10]
    places = [part[start::4].count(0) * 4 / max(len(part), 4) for start in range(4)]
    for name, is_high in (("utf-32-le", "0111"), ("utf-32-be", "1110"), ("utf-16-le", "0101"), ("utf-16-be", "1010")):
        if all(share >= 0.3 if high == "1" else share <= 0.05 for share, high in zip(places, is_high, strict=True)):
            return name
    return ""


def _by_looks(sample: bytes) -> str:
    other = [line for line in sample.splitlines()[:100_000] if not line.isascii()]
    evidence = other if sample.count(b"\n") >= EVIDENCE else _OTHER_WORD.findall(sample)
    valid = sum(map(_is_utf8, evidence))
    if valid * 10 >= len(evidence) or len(evidence) < EVIDENCE:
        return UTF8
    from charset_normalizer import from_bytes

    matches = from_bytes(b"\n".join(other)[: 256 << 10], cp_isolation=_CANDIDATES)
    ranked = [
        (round(match.chaos, 2), -round(match.coherence, 1), _CANDIDATES.index(name), name)
        for match in matches
        for name in match.could_be_from_charset
        if name in _CANDIDATES
    ]
    return min(ranked)[-1] if ranked else UTF8


def _is_utf8(line: bytes) -> bool:
    try:
        line.decode()
    except UnicodeDecodeError:
        return False
    return True
