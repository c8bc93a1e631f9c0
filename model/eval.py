#!/usr/bin/env python3
"""Scores a file of `conditions date` lines, overall and per condition, with the standard library alone.

A line passes when its date exists, lies in 1-1-1800 to 31-12-2200, and meets all four conditions. A line without a
date, or with something that is none, fails. Written apart from `cvae eval`, so that the two check each other: reports,
exit codes and the lines that are refused are the same; of a refused line this one says less. Python 3.6.2 or newer.

Exit codes: 0 done; 1 failed; 2 bad arguments, or lines without readable conditions; 130 interrupted.
"""

import argparse
import collections
import datetime
import json
import re
import sys
from typing import IO, Any, Counter, Dict, List, Optional, Set, Tuple

from files import BadInput, Parser, ended, printable, reading, say, standard_input, standard_output
from text import WHITE, lines_of

WEEKDAYS = ("MON", "TUE", "WED", "THU", "FRI", "SAT", "SUN")
MONTHS = ("JAN", "FEB", "MAR", "APR", "MAY", "JUN", "JUL", "AUG", "SEP", "OCT", "NOV", "DEC")
LINE = re.compile(r"\[(\w+)\]{0}\[(\w+)\]{0}\[(\w+)\]{0}\[([0-9]{{3}})\](.*)".format(f"[{WHITE}]*"), re.DOTALL)
SHAPE = re.compile(r"[0-9]+-[0-9]+-[0-9]+")
DATE = re.compile(r"([0-9]{1,2})-([0-9]{1,2})-([0-9]{1,5})")
FIRST, LAST = 1800, 2200
SHOWN = 10  # faulty lines that are shown one by one

# The four conditions of a line, as it writes them.
Asked = Tuple[str, ...]


def is_leap(year: int) -> bool:
    return year % 4 == 0 and year % 100 != 0 or year % 400 == 0


def conditions_of(date: datetime.date) -> Asked:
    """The four conditions that a date meets."""
    return WEEKDAYS[date.weekday()], MONTHS[date.month - 1], str(is_leap(date.year)), str(date.year // 10)


def read_date(text: str) -> Tuple[Optional[datetime.date], str]:
    """The date of a text, or why it is none."""
    if not text:
        return None, "no date"
    match = DATE.fullmatch(text)
    if not match:
        return None, "not a date of the form day-month-year, such as 3-12-1962"
    day, month, year = map(int, match.groups())
    try:
        date = datetime.date(year, month, day)
    except ValueError:
        if year > datetime.MAXYEAR:
            return None, f"year {year} lies outside {FIRST} to {LAST}"
        return None, f"no such day: {day}-{month}-{year}"
    if not FIRST <= year <= LAST:
        return None, f"year {year} lies outside {FIRST} to {LAST}"
    return date, ""


def why(asked: Asked, met: Asked, year: int) -> str:
    """What a date misses, in words; empty where it passes."""
    leap = "a" if met[2] == "True" else "no"
    words = (f"falls on {met[0]}", f"lies in {met[1]}", f"{year} is {leap} leap year", f"lies in decade {met[3]}")
    return ", ".join(said for said, left, right in zip(words, asked, met) if left != right)


def valid_dates() -> "Counter[Asked]":
    """How many dates each condition has."""
    first, last = datetime.date(FIRST, 1, 1).toordinal(), datetime.date(LAST, 12, 31).toordinal()
    return collections.Counter(conditions_of(datetime.date.fromordinal(day)) for day in range(first, last + 1))


class Score:
    """Counts over the lines of a file."""

    def __init__(self, show: int) -> None:
        self.show = show  # failures that are kept
        self.lines: "Counter[Asked]" = collections.Counter()
        self.passes: "Counter[Asked]" = collections.Counter()
        self.dates = 0
        self.fields = [0, 0, 0, 0]
        self.distinct: Dict[Asked, Set[datetime.date]] = collections.defaultdict(set)
        self.failures: List[Dict[str, Any]] = []

    def add(self, number: int, line: str, asked: Asked, text: str) -> None:
        """One line with its conditions and what follows them."""
        date, reason = read_date(text)
        self.lines[asked] += 1
        if date:
            self.dates += 1
            met = conditions_of(date)
            self.fields = [count + (left == right) for count, left, right in zip(self.fields, asked, met)]
            reason = why(asked, met, date.year)
        if date is None or reason:
            if len(self.failures) < self.show:
                self.failures.append({"line": number, "text": line, "reason": reason})
        else:
            self.passes[asked] += 1
            self.distinct[asked].add(date)

    def report(self) -> Dict[str, Any]:
        """Everything, as `cvae eval --json` names it."""
        total, passed, valid = sum(self.lines.values()), sum(self.passes.values()), valid_dates()

        def order(asked: Asked) -> Tuple[int, int, bool, str]:
            return WEEKDAYS.index(asked[0]), MONTHS.index(asked[1]), asked[2] == "True", asked[3]

        conditions = [
            {
                "condition": " ".join(f"[{part}]" for part in asked),
                "lines": self.lines[asked],
                "passes": self.passes[asked],
                "pass_rate": self.passes[asked] / self.lines[asked],
                "valid_dates": valid[asked],
                "distinct_valid_dates": len(self.distinct[asked]),
            }
            for asked in sorted(self.lines, key=order)
        ]
        rates = dict(zip(("weekday_rate", "month_rate", "leap_rate", "decade_rate"), (n / total for n in self.fields)))
        return {
            "lines": total,
            "passes": passed,
            "pass_rate": passed / total,
            "valid_date_rate": self.dates / total,
            **rates,
            "conditions": conditions,
            "failures": self.failures,
        }


def taken_apart(text: str) -> Optional[Tuple[Asked, str]]:
    """The four conditions that a text begins with, and what follows them; none where it begins with no such."""
    match = LINE.fullmatch(text.strip(WHITE))
    if not match:
        return None
    *asked, rest = match.groups()
    known = asked[0] in WEEKDAYS and asked[1] in MONTHS and asked[2] in ("True", "False")
    return (tuple(asked), rest.strip(WHITE)) if known and FIRST // 10 <= int(asked[3]) <= LAST // 10 else None


def second_line(rest: str) -> str:
    """The second line that is glued to a first, of which this is the rest; empty where there is none."""
    before, bracket, after = rest.partition("[")
    before = before.rstrip(WHITE)
    return bracket + after if (not before or SHAPE.fullmatch(before)) and taken_apart(bracket + after) else ""


def read(file: IO[bytes], name: str, show: int) -> Score:
    """Scores the lines of a file; blank ones at its end are left out."""
    score, bad = Score(show), 0
    for number, line, fault in lines_of(file, name):
        parts = None if fault else taken_apart(line)
        glued = second_line(parts[1]) if parts else ""
        if parts and not glued:
            score.add(number, line.rstrip(WHITE), *parts)
            continue
        bad += 1
        if bad <= SHOWN:
            other = "no readable conditions, such as [MON] [DEC] [False] [196]"
            said = f"a second line is glued to this one at {glued[:24]}; end it before" if glued else fault or other
            say(f"{name}:{number}: {said}")
    if bad > SHOWN:
        say(f"... and {bad - SHOWN} more bad lines")
    if bad:
        raise BadInput(f"{bad} lines of {name} have no readable conditions or hold two lines; mend or remove them")
    if not score.lines:
        raise BadInput(f"{name} holds no lines")
    return score


def text(report: Dict[str, Any], show: int) -> str:
    """The report as lines."""
    names = ("pass_rate", "valid_date_rate", "weekday_rate", "month_rate", "leap_rate", "decade_rate")
    # Rounded down, so that nearly all is never shown as all.
    out = [f"{name:<16} {int(1e6 * report[name] + 1e-6) / 1e4:9.4f} %" for name in names]
    out.append(f"{report['passes']} of {report['lines']} lines pass; {len(report['conditions'])} conditions")
    failing = [row for row in report["conditions"] if row["passes"] < row["lines"]]
    for row in sorted(failing, key=lambda row: row["pass_rate"])[:show]:
        out.append(f"{row['condition']:<26} {row['passes']} of {row['lines']} lines pass")
    if len(failing) > show:
        out.append(f"... and {len(failing) - show} more conditions; --show N shows N")
    out += [f"line {failure['line']}: {failure['text']}: {failure['reason']}" for failure in report["failures"]]
    left = report["lines"] - report["passes"] - len(report["failures"])
    if left > 0:
        out.append(f"... and {left} more failing lines; --show N shows N")
    return "\n".join(out)


def whole(text: str) -> int:
    """A number of things."""
    if not re.fullmatch("[0-9]+", text):
        raise argparse.ArgumentTypeError(f"{text!r} is not a whole number from 0 up")
    return int(text)


def run() -> int:
    parser = Parser(description=__doc__.splitlines()[0], epilog=__doc__.splitlines()[-1])
    parser.add_argument("file", metavar="FILE", help="file to score; - for standard input")
    parser.add_argument("--json", action="store_true", help="everything, with a record for each condition")
    parser.add_argument("--show", type=whole, default=5, metavar="N", help="worst conditions and failures to show")
    options = parser.parse_args()
    if options.file == "-":
        score = read(standard_input(), "standard input", options.show)
    else:
        with reading(options.file, BadInput) as file:
            score = read(file, options.file, options.show)
    report = score.report()
    said = json.dumps(report, indent=2) if options.json else printable(text(report, options.show))
    standard_output().write(f"{said}\n".encode())
    standard_output().flush()
    return 0


if __name__ == "__main__":
    sys.exit(ended(run))
