"""What stands encoded in a text: escapes, codes of characters, base64 and its kin.

Only what a standard decoder turns into readable text counts: words and hashes, which some
decoder takes too, come out as noise and are passed over. What was decoded may hold more.
"""

import base64
import binascii
import bz2
import io
import lzma
import re
import zlib
from collections.abc import Callable, Iterator

_DEPTH = 3
_LEAST = 4  # characters; less tells nothing
_MOST_BYTES = 400_000
_READABLE = 0.95

_ESCAPES = re.compile(
    r"(?:\\x[0-9a-f]{2}|\\u[0-9a-f]{4}|\\u\{[0-9a-f]{1,6}\}|\\U[0-9a-f]{8}|\\[0-3][0-7]{2}"
    r"|%[0-9a-f]{2}|=[0-9a-f]{2}|\\[nrt])+",
    re.I,
)
_ESCAPE = re.compile(
    r"\\u\{(\w+)\}|\\(?:U(\w{8})|u(\w{4})|x(\w\w)|([0-7]{3})|[nrt])|[%=](\w\w)", re.I
)
_CSS = re.compile(r"(?:\\[0-9a-f]{1,6}[ \t]?){4,}", re.I)
_GAP = r"(?:[\s,;:.+()\[\]\"'-]|chr|0x|\\x)"
_CODES = re.compile(rf"(?<![\w.])\d{{1,6}}(?:{_GAP}{{1,12}}\d{{1,6}}){{7,}}(?![\w.])")
_HEX = re.compile(rf"[0-9a-f]{{2}}(?:{_GAP}{{0,8}}[0-9a-f]{{2}}){{5,}}", re.I)
_HEX_MARK = re.compile(r"0x|\\x|[^0-9a-f]", re.I)
_DUMP_OFFSET = re.compile(r"^[ \t]*[0-9a-f]{6,8}:?[ \t]+", re.I | re.M)
_BINARY = re.compile(r"(?<!\d)[01]{7,8}(?:[\s,]{1,4}[01]{7,8}){3,}(?!\d)")
_UU_LINE = re.compile(r"^[!-M][ -`]{4,84}$", re.M)
_BETWEEN = re.compile(r"[\s\"',+()\\]{0,40}")

Lines = tuple[tuple[int, str], ...]
"""Lines of a text, each with the number, from 1 on, of the line it stands for."""

_Pieces = Iterator[tuple[int, str]]  # where each begins in the text, and what it says


def lines_of(text: str) -> Lines:
    """Return a text's lines with their numbers."""
    return tuple(enumerate(text.split("\n"), 1))


def decoded(lines: Lines, depth: int = _DEPTH) -> Iterator[Lines]:
    """Yield what a text holds encoded, for each decoder that finds something."""
    if not depth:
        return
    for turned in (False, True):
        text = "\n".join(line[::-1] if turned else line for _, line in lines)
        for decoder in _DECODERS:
            found = tuple(
                (lines[text.count("\n", 0, at)][0], line)
                for at, piece in decoder(text)
                if len(piece) >= _LEAST
                for line in piece.split("\n")
            )
            if found:
                yield found
                yield from decoded(found, depth - 1)


def _escaped(text: str) -> _Pieces:
    """Yield each line that holds escapes, with what they stand for in their places."""
    at = 0
    for line in text.split("\n"):
        if "\\" in line or "%" in line or "=" in line:
            plain = _ESCAPES.sub(_unescaped, line)
            if plain != line:
                yield at, plain
        at += len(line) + 1


def _unescaped(run: re.Match[str]) -> str:
    units = []
    for brace, long, short, byte, octal, quoted in _ESCAPE.findall(run.group()):
        digits = brace or long or short or byte or quoted
        units.append(int(digits, 16) if digits else int(octal, 8) if octal else ord("\n"))
    return _of_codes(units) or run.group()


def _coded(text: str) -> _Pieces:
    for run in _CODES.finditer(text):
        codes = re.findall(r"\d+", run.group())
        yield run.start(), _of_codes([int(each) for each in codes])
        if not re.search("[89]", run.group()):
            yield run.start(), _of_codes([int(each, 8) for each in codes])


def _css(text: str) -> _Pieces:
    for run in _CSS.finditer(text):
        codes = re.findall(r"[0-9a-f]+", run.group(), re.I)
        yield run.start(), _of_codes([int(each, 16) for each in codes])


def _hexed(text: str) -> _Pieces:
    bare = _DUMP_OFFSET.sub(lambda offset: " " * len(offset.group()), text)
    for run in _HEX.finditer(bare):
        digits = _HEX_MARK.sub("", run.group())
        yield run.start(), _readable(bytes.fromhex(digits[: len(digits) // 2 * 2]))


def _binary(text: str) -> _Pieces:
    for run in _BINARY.finditer(text):
        yield (
            run.start(),
            _of_codes([int(each, 2) for each in run.group().replace(",", " ").split()]),
        )


def _uuencoded(text: str) -> _Pieces:
    for line in _UU_LINE.finditer(text):
        found = _tried(binascii.a2b_uu, line.group())
        if len(found.encode()) == ord(line.group()[0]) - 32:
            yield line.start(), found


def _packed(alphabet: str, decode: Callable[[str], bytes]) -> Callable[[str], _Pieces]:
    """Return the decoder of runs of an alphabet, each alone and joined with its neighbours."""
    pattern = re.compile(alphabet)

    def decoder(text: str) -> _Pieces:
        groups: list[list[re.Match[str]]] = []
        for run in pattern.finditer(text):
            if groups and _BETWEEN.fullmatch(text, groups[-1][-1].end(), run.start()):
                groups[-1].append(run)
            else:
                groups.append([run])
        for group in groups:
            yield group[0].start(), _tried(decode, "".join(run.group() for run in group))
            parts = [part for run in group for part in (run.group(), *run.group().split("/"))]
            for part in dict.fromkeys(parts[1:]):
                yield group[0].start(), _tried(decode, part)

    return decoder


def _base64(run: str) -> bytes:
    bare = run.rstrip("=").translate(str.maketrans("-_", "+/"))
    return base64.b64decode(bare + "=" * (-len(bare) % 4), validate=True)


def _base32(run: str) -> bytes:
    bare = run.rstrip("=")
    return base64.b32decode(bare + "=" * (-len(bare) % 8))


_DECODERS: tuple[Callable[[str], _Pieces], ...] = (
    _escaped,
    _coded,
    _css,
    _hexed,
    _binary,
    _uuencoded,
    _packed(r"[A-Za-z0-9+/_-]{8,}={0,2}", _base64),
    _packed(r"(?<!\w)[A-Z2-7]{16,}={0,6}", _base32),
    _packed(r"\S{20,}", base64.b85decode),
    _packed(r"\S{20,}", base64.a85decode),
)


def _tried(decode: Callable[[str], bytes], run: str) -> str:
    try:
        return _readable(decode(run))
    except (ValueError, binascii.Error):
        return ""


def _of_codes(codes: list[int]) -> str:
    """Return the text of some bytes or code points; empty where they are none."""
    if all(code < 0x100 for code in codes):
        return _readable(bytes(codes)) or _if_text("".join(map(chr, codes)))
    if any(code >= 0x110000 or 0xD800 <= code < 0xE000 for code in codes):
        return ""
    return _if_text("".join(map(chr, codes)))


def _readable(data: bytes) -> str:
    """Return the text that some bytes are, packed or not; empty where they are none."""
    for begins, unpack in _UNPACK.items():
        if data.startswith(begins):
            try:
                return _readable(unpack(io.BytesIO(data)))
            except (OSError, EOFError, zlib.error, lzma.LZMAError):
                return ""
    for wide, first in (("utf-16-be", 0), ("utf-16-le", 1)):
        # Of ASCII in two bytes a letter, one of each two is nothing; a mark may be the first.
        if len(data) >= 2 * _LEAST and not any(data[2 + first :: 2]):
            return _if_text(data.decode(wide, "replace").lstrip("\ufeff"))
    try:
        return _if_text(data.decode("utf-8"))
    except UnicodeDecodeError:
        return ""


_UNPACK: dict[bytes, Callable[[io.BytesIO], bytes]] = {
    b"\x1f\x8b": lambda data: zlib.decompressobj(31).decompress(data.read(), _MOST_BYTES),
    b"BZh": lambda data: bz2.BZ2Decompressor().decompress(data.read(), _MOST_BYTES),
    b"\xfd7zXZ": lambda data: lzma.LZMADecompressor().decompress(data.read(), _MOST_BYTES),
    b"x\x9c": lambda data: zlib.decompressobj().decompress(data.read(), _MOST_BYTES),
    b"x\xda": lambda data: zlib.decompressobj().decompress(data.read(), _MOST_BYTES),
}


def _if_text(text: str) -> str:
    shown = sum(letter.isprintable() or letter.isspace() for letter in text)
    return text if text and shown >= _READABLE * len(text) else ""
