"""Models: sampling, likelihood, exact marginals, and the code."""

from __future__ import annotations

import array
import os
from typing import Any, Dict, Iterable, List, Mapping, Optional, Sequence, Tuple, Union

from cvae import _cvae
from cvae._frames import Coded, chosen, columns_of, kind_of, table

Path = Union[str, "os.PathLike[str]"]
#: A line `[MON] [DEC] [False] [196]`, a mapping of names to values, or the values in order.
One = Union[str, Mapping[str, Any], Tuple[Any, ...]]
#: One condition, several, a mapping of columns, or a pandas or polars frame.
Conditions = Any


def load(path: Optional[Path] = None) -> "Model":
    """The model of a release or a finished trial; the released model where no folder is named.

    >>> load()
    <cvae.Model: weekday, month, leap, decade -> date, 8 latent dimensions>
    """
    return Model(_cvae.Model.load(None if path is None else os.fspath(path)), path)


class Model:
    """A trained model; `cvae.load` and `Trial.model` make one."""

    def __init__(self, inner: "_cvae.Model", path: Optional[Path] = None) -> None:
        self._inner = inner
        self.path = path
        columns = inner.columns()
        #: Names of the given columns with their values.
        self.given: Dict[str, List[str]] = {name: values for name, values, given in columns if given}
        #: Names of the generated columns with their values, in the order of generation.
        self.generated: Dict[str, List[str]] = {name: values for name, values, given in columns if not given}

    def __repr__(self) -> str:
        given, answers = ", ".join(self.given), ", ".join(self._answers)
        return f"<cvae.Model: {given} -> {answers}, {self.latent_dim} latent dimensions>"

    @property
    def _answers(self) -> List[str]:
        """Names of the columns of an answer: a date is one, whatever its fields."""
        return ["date"] if self._inner.is_dates() else list(self.generated)

    @property
    def latent_dim(self) -> int:
        """Dimensions of the code z."""
        return self._inner.latent_dim()

    @property
    def config(self) -> Dict[str, str]:
        """Every key of the config that it was trained with, as text.

        >>> load().config["model.trunk"]
        'multiplicative'
        """
        return dict(self._inner.config())

    def sample(
        self,
        conditions: Conditions,
        n: int = 1,
        *,
        seed: int = 1,
        decode: str = "greedy",
        temperature: Optional[float] = None,
        threads: Optional[int] = None,
        to: Optional[str] = None,
    ) -> Any:
        """`n` dates for each condition, in order: a row for each, with its condition, the date, and whether it passes.

        Models of other tasks give their generated columns in place of the date.
        Conditions are lines, dictionaries, tuples, or a pandas or polars frame. `decode` is "greedy" (the most likely
        value of each field, so that all variety comes from the code) or "sample", which takes a temperature. A seed
        gives the dates that `cvae predict` gives for the same lines. The result is a frame like the input, else of
        what is installed; `to` chooses "pandas", "polars" or "lists". Nothing that fails is left out or repaired.

        >>> model = load()
        >>> found = model.sample({"weekday": "MON", "month": "DEC", "leap": False, "decade": 196}, to="lists")
        >>> found["weekday"], found["date"], found["passes"]
        (['MON'], ['26-12-1966'], [True])
        >>> drawn = model.sample(["[MON] [DEC] [False] [196]"], n=1000, decode="sample", temperature=0.7, to="lists")
        >>> len(drawn["date"])
        1000
        """
        if decode not in ("greedy", "sample"):
            raise ValueError(f"decode={decode!r} is no way of decoding; choose 'greedy' or 'sample'")
        if decode == "greedy" and temperature is not None:
            raise ValueError("temperature has no effect on greedy decoding; add decode='sample'")
        if not 1 <= n:
            raise ValueError(f"n={n}: draw at least 1 date for each condition")
        heat = None if decode == "greedy" else 1.0 if temperature is None else float(temperature)
        rows, given = self._conditions(conditions)
        drawn, passes = self._inner.sample(rows, n, seed, heat, threads)
        width = len(self.given)
        columns: Dict[str, Any] = {}
        for place, (name, values) in enumerate(self.given.items()):
            codes = given[place::width]
            columns[name] = Coded(_repeated(codes, n), values)
        columns.update(self._answered(drawn))
        columns["passes"] = list(map(bool, passes))
        return table(columns, chosen(to, kind_of(conditions)))

    def log_prob(self, rows: Any, *, codes: int = 1024, seed: int = 1) -> List[float]:
        """log p(date given its condition) of each row, nats.

        The decoder's probability is averaged over `codes` draws of z from the prior.

        Rows are lines with dates, dictionaries or frames with the given columns and `date`.

        >>> [round(value, 1) for value in load().log_prob(["[MON] [DEC] [False] [196] 24-12-1962"])]
        [-3.6]
        """
        return _floats(self._inner.log_prob(self._rows(rows), codes, seed))

    def marginal(self, condition: One, *, codes: int = 4096, seed: int = 1, to: Optional[str] = None) -> Any:
        """p(date given the condition) for every valid date, beside the truth.

        The columns: `date`, `probability` under the model, `error` (the standard error from the choice of codes), and
        `truth`. The last row, whose date is None, is the probability of all that fails the condition.

        >>> found = load().marginal("[MON] [DEC] [False] [196]", to="lists")
        >>> len(found["date"]), round(sum(found["probability"]), 6)
        (32, 1.0)
        """
        rows, _ = self._conditions(condition)
        if len(rows) != 2 * len(self.given):
            raise ValueError("a marginal is that of one condition; several were given")
        found, numbers = self._inner.marginal(rows, codes, seed)
        values = _floats(numbers)
        size = len(values) // 3
        columns: Dict[str, Any] = {}
        for name, answers in self._answered(found).items():
            columns[name] = [*(answers.lists() if isinstance(answers, Coded) else answers), None]
        for place, name in enumerate(("probability", "error", "truth")):
            columns[name] = values[place * size : (place + 1) * size]
        return table(columns, chosen(to, kind_of(condition)))

    def encode(self, rows: Any, *, to: Optional[str] = None) -> Any:
        """The posterior q(z given date and condition) of each row: columns `mean_1`, ... and `sd_1`, ...

        >>> found = load().encode(["[MON] [DEC] [False] [196] 3-12-1962"], to="lists")
        >>> list(found)[0], list(found)[-1]
        ('mean_1', 'sd_8')
        """
        values = _floats(self._inner.encode(self._rows(rows)))
        half, width = len(values) // 2, self.latent_dim
        columns = {}
        for name, part in (("mean", values[:half]), ("sd", values[half:])):
            for dimension in range(width):
                columns[f"{name}_{dimension + 1}"] = part[dimension::width]
        return table(columns, chosen(to, kind_of(rows)))

    def _answered(self, rows: bytes) -> Dict[str, Any]:
        """The columns of answers, of value indices of the generated columns."""
        if self._inner.is_dates():
            return {"date": self._inner.labels(rows)}
        codes, width = _array(rows), len(self.generated)
        return {name: Coded(codes[place::width], values) for place, (name, values) in enumerate(self.generated.items())}

    def _conditions(self, conditions: Conditions) -> Tuple[bytes, "array.array[int]"]:
        """Value indices of the given columns, row by row."""
        codes = _array(self._coded(conditions, list(self.given), dated=False))
        return codes.tobytes(), codes

    def _rows(self, rows: Any) -> bytes:
        """Value indices of all columns, row by row."""
        return self._coded(rows, [*self.given, *self._answers], dated=True)

    def _coded(self, data: Any, names: Sequence[str], dated: bool) -> bytes:
        if isinstance(data, str) or (isinstance(data, Mapping) and not _holds_columns(data)) or isinstance(data, tuple):
            data = [data]
        if kind_of(data) or isinstance(data, Mapping):
            return self._of_columns(columns_of(data, names), dated)
        items = list(data)
        if all(isinstance(item, str) for item in items):
            return self._inner.parse(items, dated)
        columns: Dict[str, List[Any]] = {name: [] for name in names}
        for place, item in enumerate(items):
            for name, value in zip(names, _values(item, names, place)):
                columns[name].append(value)
        return self._of_columns(columns, dated)

    def _of_columns(self, columns: Mapping[str, List[Any]], dated: bool) -> bytes:
        width = len(self.given) + (len(self.generated) if dated else 0)
        size = len(next(iter(columns.values())))
        if any(len(column) != size for column in columns.values()):
            lengths = ", ".join(f"{name} {len(column)}" for name, column in columns.items())
            raise ValueError(f"the columns have different lengths: {lengths}")
        codes = array.array("H", bytes(2 * width * size))
        for place, (name, values) in enumerate(self.given.items()):
            codes[place::width] = _codes(columns[name], name, values)
        if dated and not self._inner.is_dates():
            for place, (name, values) in enumerate(self.generated.items()):
                codes[len(self.given) + place :: width] = _codes(columns[name], name, values)
        elif dated:
            tokens = _array(self._inner.parse_dates([str(date) for date in columns["date"]]))
            count = len(self.generated)
            for place in range(count):
                codes[len(self.given) + place :: width] = tokens[place::count]
        return codes.tobytes()


def _holds_columns(data: Mapping[str, Any]) -> bool:
    return any(not isinstance(value, (str, bytes)) and isinstance(value, Iterable) for value in data.values())


def _values(item: Any, names: Sequence[str], place: int) -> List[Any]:
    if isinstance(item, Mapping):
        missing = [name for name in names if name not in item]
        if missing:
            raise ValueError(f"item {place} has no {missing[0]!r}; it needs {', '.join(names)}")
        return [item[name] for name in names]
    if isinstance(item, (tuple, list)) and len(item) == len(names):
        return list(item)
    wanted = f"a line, a dictionary, or {len(names)} values ({', '.join(names)})"
    raise ValueError(f"item {place}: {item!r} is not a condition; give {wanted}")


def _codes(column: List[Any], name: str, values: List[str]) -> "array.array[int]":
    """A column's values as their places among those that it can have."""
    known: Dict[Any, int] = {value: code for code, value in enumerate(values)}
    codes = array.array("H")
    for place, value in enumerate(column):
        code = known.get(value)
        if code is None:
            # Numbers, booleans and bracketed words are taken by what lines would write. pandas makes floats of integers
            # where one is missing.
            whole = isinstance(value, float) and value.is_integer()
            code = known.get(str(int(value) if whole else value).strip("[] "))
            if code is None:
                shown = ", ".join(values if len(values) <= 12 else [values[0], values[1], "...", values[-1]])
                raise ValueError(f"row {place}, {name}: {value!r} is not one of {shown}")
            known[value] = code
        codes.append(code)
    return codes


def _repeated(codes: "array.array[int]", n: int) -> "array.array[int]":
    """Each code `n` times in a row."""
    if n == 1:
        return codes
    repeated = array.array("H", bytes(2 * n * len(codes)))
    for draw in range(n):
        repeated[draw::n] = codes
    return repeated


def _array(data: bytes) -> "array.array[int]":
    codes = array.array("H")
    codes.frombytes(data)
    return codes


def _floats(data: bytes) -> List[float]:
    values = array.array("d")
    values.frombytes(data)
    return values.tolist()
