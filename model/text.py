"""Lines of text from files, pipes and devices, in bounded memory, whatever they hold. The standard library is enough."""

import os
import stat
from typing import IO, Iterator, List, Optional, Tuple

from files import Failure

# What Unicode calls white space; str.strip() takes more.
WHITE = "\t\n\x0b\x0c\r \x85\xa0\u1680" + "".join(map(chr, range(0x2000, 0x200B))) + "\u2028\u2029\u202f\u205f\u3000"
LONGEST = 4096  # bytes; no line of the format comes near
DEVICE = 1 << 20  # bytes that a device may give before it is taken for one without an end
ENDLESS = 64 << 20  # the longest line, be it a bad one, before an input is taken for no text


class LineError(Exception):
    """What is wrong with a line, and its column."""

    def __init__(self, message: str, column: int = 1) -> None:
        super().__init__(message)
        self.column = column


def is_device(file: IO[bytes]) -> bool:
    """Whether a file is a device, of which many have no end; a terminal has one."""
    try:
        mode = os.fstat(file.fileno()).st_mode
    except OSError:  # something in memory
        return False
    return stat.S_ISBLK(mode) or stat.S_ISCHR(mode) and not file.isatty()


def lines_of(file: IO[bytes], name: str) -> Iterator[Tuple[int, str, Optional[LineError]]]:
    """Number, text and fault of each line; blank ones at the end are left out, CRs and a byte-order mark dropped."""
    blanks: List[Tuple[int, str, Optional[LineError]]] = []
    device, total = is_device(file), 0
    for number, raw in enumerate(iter(lambda: file.readline(LONGEST + 1), b""), 1):
        dropped = len(raw) > LONGEST and not raw.endswith(b"\n")
        rest, length = raw, len(raw)
        while dropped and rest and not rest.endswith(b"\n"):  # a line without end is read to its end, and not kept
            rest = file.readline(1 << 16)
            length += len(rest)
            if device and total + length > DEVICE:
                break
            if length > ENDLESS:
                raise Failure(f"cannot read {name}: a line of it has no end, name a file of lines")
        total += length
        if device and total > DEVICE:
            raise Failure(f"cannot read {name}: it is a device without an end, name a file")
        raw = raw[:-1] if raw.endswith(b"\n") else raw
        raw = raw[:-1] if raw.endswith(b"\r") else raw
        raw = raw[3:] if number == 1 and raw.startswith(b"\xef\xbb\xbf") else raw
        fault = None
        try:
            text = raw.decode()
        except UnicodeDecodeError:
            text, fault = raw.decode(errors="replace"), LineError("the line is not UTF-8 text")
        if dropped:
            text = raw[:LONGEST].decode(errors="replace")
            fault = LineError(f"the line is longer than {LONGEST} bytes")
        if not fault and not text.strip(WHITE):
            blanks.append((number, "", None))
            continue
        yield from blanks
        blanks.clear()
        yield number, text, fault
