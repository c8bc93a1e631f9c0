#!/usr/bin/env python3
"""Scores a file of `conditions date` lines, overall and per condition, with the standard library alone.

A line passes when its date exists, lies in 1-1-1800 to 31-12-2200, and meets all four conditions. A line without a
date, or with something that is none, fails. Written apart from `cvae eval`, so that the two check each other. Python 3.6.2 or newer.

Exit codes: 0 done; 1 failed; 2 bad arguments, or lines without readable conditions.
"""

import argparse
import collections
import datetime
import json
import os
import re
import signal
import sys
from typing import IO, Any, Counter, Dict, List, NoReturn, Optional, Set, Tuple

WEEKDAYS = ("MON", "TUE", "WED", "THU", "FRI", "SAT", "SUN")
MONTHS = ("JAN", "FEB", "MAR", "APR", "MAY", "JUN", "JUL", "AUG", "SEP", "OCT", "NOV", "DEC")
LINE = re.compile(r"\s*\[(\w+)\]\s*\[(\w+)\]\s*\[(\w+)\]\s*\[([0-9]{3})\](.*)", re.DOTALL)
GLUED = re.compile(r"(?:[0-9]+-[0-9]+-[0-9]+)?\s*(\[\w+\]\s*\[\w+\]\s*\[\w+\]\s*\[[0-9]{3}\])")
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

    def __init__(self) -> None:
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
            self.failures.append({"line": number, "text": line, "reason": reason})
        else:
            self.passes[asked] += 1
            self.distinct[asked].add(date)

    def report(self, show: int) -> Dict[str, Any]:
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
            "failures": self.failures[:show],
        }


def read(file: IO[bytes], name: str) -> Score:
    """Scores the lines of a file; blank ones at its end are left out."""
    score = Score()
    bad: List[int] = []
    blank: List[int] = []
    glued: Dict[int, str] = {}
    for number, raw in enumerate(file, 1):
        line = raw.decode("utf-8-sig" if number == 1 else "utf-8", "replace").strip()
        if not line:
            blank.append(number)
            continue
        bad += blank
        blank = []
        match = LINE.fullmatch(line)
        *asked, rest = match.groups() if match else ("", "", "", "0", "")
        known = asked[0] in WEEKDAYS and asked[1] in MONTHS and asked[2] in ("True", "False")
        second = GLUED.match(rest.strip()) if known else None
        if second:
            bad.append(number)
            glued[number] = f"a second line is glued to this one at {second.group(1)}; end it before"
        elif known and FIRST // 10 <= int(asked[3]) <= LAST // 10:
            score.add(number, line, tuple(asked), rest.strip())
        else:
            bad.append(number)
    for number in bad[:SHOWN]:
        fault = glued.get(number, "no readable conditions, such as [MON] [DEC] [False] [196]")
        print(f"{name}:{number}: {fault}", file=sys.stderr)
    if len(bad) > SHOWN:
        print(f"... and {len(bad) - SHOWN} more bad lines", file=sys.stderr)
    if bad:
        fail(2, f"{len(bad)} lines of {name} have no readable conditions or hold two lines; mend or remove them")
    if not score.lines:
        fail(2, f"{name} holds no lines")
    return score


def fail(code: int, message: str) -> NoReturn:
    print(f"error: {message}", file=sys.stderr)
    raise SystemExit(code)


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


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0], epilog=__doc__.splitlines()[-1])
    parser.add_argument("file", metavar="FILE", help="file to score; - for standard input")
    parser.add_argument("--json", action="store_true", help="everything, with a record for each condition")
    parser.add_argument("--show", type=int, default=5, metavar="N", help="worst conditions and failures to show")
    options = parser.parse_args()
    try:
        if options.file == "-":
            score = read(sys.stdin.buffer, "standard input")
        else:
            with open(options.file, "rb") as file:
                score = read(file, options.file)
    except OSError as error:
        fail(1, f"cannot read {options.file}: {error.strerror}; check the path")
    report = score.report(max(options.show, 0))
    print(json.dumps(report, indent=2) if options.json else text(report, max(options.show, 0)))


if __name__ == "__main__":
    signal.signal(signal.SIGTERM, signal.default_int_handler)  # the same end as Ctrl-C
    try:
        main()
        sys.stdout.flush()
    except BrokenPipeError:  # a reader that has seen enough, such as `head`, is no failure
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    except KeyboardInterrupt:
        print("interrupted", file=sys.stderr)
        sys.exit(130)
