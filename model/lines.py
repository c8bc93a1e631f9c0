"""Lines of the challenge's format, `[MON] [DEC] [False] [196]`, and what is wrong with others."""

import array
import functools
import re
from typing import IO, Any, Dict, Iterable, List

import numpy as np

from decoder import CONDITION_FIELDS, DATE_FIELDS
from files import say
from text import WHITE, LineError, lines_of

WEEKDAYS = ["MON", "TUE", "WED", "THU", "FRI", "SAT", "SUN"]
MONTHS = ["JAN", "FEB", "MAR", "APR", "MAY", "JUN", "JUL", "AUG", "SEP", "OCT", "NOV", "DEC"]
LEAPS = ["False", "True"]
DECADES = [str(decade) for decade in range(180, 221)]

FIELDS = [
    (WEEKDAYS, "a weekday: [MON] [TUE] [WED] [THU] [FRI] [SAT] or [SUN]"),
    (MONTHS, "a month: [JAN] [FEB] [MAR] [APR] [MAY] [JUN] [JUL] [AUG] [SEP] [OCT] [NOV] or [DEC]"),
    (LEAPS, "a leap-year flag: [True] or [False]"),
    (DECADES, "a decade: [180] to [220]"),
]
DATE = "the end of the line or a date of the form day-month-year"
INDEX = [{f"[{value}]": index for index, value in enumerate(values)} for values, _ in FIELDS]
SHOWN = 10  # faulty lines that are shown one by one


def field_error(column: int, found: str, expected: str) -> LineError:
    found = found if len(found) <= 24 else found[:24] + "…"
    if not found:
        return LineError(f"the line ends where {expected} is expected", column)
    escapes = {'"': '\\"', "\\": "\\\\", "\n": "\\n", "\t": "\\t", "\r": "\\r", "\0": "\\0"}
    shown = (escapes.get(c) or (c if c.isprintable() else f"\\u{{{ord(c):x}}}") for c in found)
    return LineError(f'found "{"".join(shown)}", expected {expected}', column)


def has_date_shape(text: str) -> bool:
    return re.match(r"[0-9]+-[0-9]+-[0-9]+\Z", text) is not None


def parse_line(line: str) -> List[int]:
    """The condition's four indices; a date after them is ignored."""
    indices: List[int] = []
    at = 0
    for (_, expected), index in zip(FIELDS, INDEX):
        start = len(line) - len(line[at:].lstrip(WHITE))
        left = line[start:]
        # A field ends with its bracket; text that opens none ends at the next blank.
        if left.startswith("["):
            end = left.find("]") + 1 or len(left.rstrip(WHITE))
        else:
            end = next((place for place, c in enumerate(left) if c in WHITE), len(left))
        if left[:end] not in index:
            raise field_error(start + 1, left[:end], expected)
        indices.append(index[left[:end]])
        at = start + end
    rest = line[at:].strip(WHITE)
    if rest and not has_date_shape(rest):
        raise field_error(len(line.rstrip(WHITE)) - len(rest) + 1, rest, DATE)
    return indices


def without_date(text: str) -> str:
    """A bad line as it stands, less a date at its end: nothing that could pass for an answer."""
    text = text.rstrip(WHITE)
    last = re.split(f"[{WHITE}]", text)[-1]
    return text[: len(text) - len(last)].rstrip(WHITE) if last != text and has_date_shape(last) else text


class Conditions:
    """The conditions of all lines of an input, checked; the first faults are shown, each with its place."""

    def __init__(self, name: str, file: IO[bytes], satisfiable: np.ndarray) -> None:
        # Dense index of each line's condition, -1 where the line is bad; the texts of bad lines by their place.
        self.indices: "array.array[int]" = array.array("h")
        self.bad: Dict[int, str] = {}

        @functools.lru_cache(maxsize=1 << 14)
        def index_of(text: str) -> int:
            index = dense(parse_line(text))
            if not satisfiable[index]:
                raise LineError(f"no date from 1-1-1800 to 31-12-2200 meets {condition_text(index)}")
            return index

        for number, text, fault in lines_of(file, name):
            try:
                if fault:
                    raise fault
                self.indices.append(index_of(text))
            except LineError as error:
                if len(self.bad) < SHOWN:
                    say(f"{name}:{number}:{error.column}: {error}")
                self.bad[len(self.indices)] = without_date(text)
                self.indices.append(-1)
        if len(self.bad) > SHOWN:
            say(f"... and {len(self.bad) - SHOWN} more bad lines")


def dense(fields: Iterable) -> Any:
    """One number for a condition's four fields, which may be whole arrays of them."""
    weekday, month, leap, decade = fields
    return ((weekday * 12 + month) * 2 + leap) * 41 + decade


def fields_of(indices: np.ndarray) -> np.ndarray:
    """The four fields [n, 4] of conditions given as such numbers [n]."""
    return np.stack(np.unravel_index(indices, CONDITION_FIELDS), axis=1)


def condition_text(index: int) -> str:
    """A condition as lines write it."""
    fields = np.unravel_index(index, CONDITION_FIELDS)
    return " ".join(f"[{values[field]}]" for (values, _), field in zip(FIELDS, fields))


# The calendar serves to refuse what no date meets, and to tell the share that is right.
def conditions_met() -> np.ndarray:
    """The dense index of the condition that each combination of fields meets [41, 12, 10, 31]; -1 for no date."""
    days = np.arange("1800-01-01", "2201-01-01", dtype="datetime64[D]")
    months = days.astype("datetime64[M]")
    year, month = 1970 + days.astype("datetime64[Y]").astype(int), months.astype(int) % 12
    leap = (year % 4 == 0) & ((year % 100 != 0) | (year % 400 == 0))
    weekday = (days.astype(int) + 3) % 7  # 1-1-1970 was a Thursday
    decade = year // 10 - 180
    met = np.full(tuple(DATE_FIELDS.values()), -1)
    met[decade, month, year % 10, (days - months).astype(int)] = dense((weekday, month, leap.astype(int), decade))
    return met
