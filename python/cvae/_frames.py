"""Tables in and out: pandas, polars, or plain lists. Nothing is imported before it is needed."""

from __future__ import annotations

import importlib.util
import sys
from typing import Any, Dict, List, Mapping, Optional, Sequence

KINDS = ("pandas", "polars", "lists")


def kind_of(data: Any) -> Optional[str]:
    """The library that a table belongs to; None for what is no frame."""
    for name in ("pandas", "polars"):
        module = sys.modules.get(name)
        if module is not None and isinstance(data, module.DataFrame):
            return name
    return None


def chosen(to: Optional[str], like: Optional[str] = None) -> str:
    """What results are made as: what was asked for, what the input was, or what is installed."""
    if to is not None and to not in KINDS:
        raise ValueError(f"to={to!r} is no kind of table; choose one of {', '.join(KINDS)}")
    if to or like:
        return to or like or ""
    installed = (name for name in ("pandas", "polars") if importlib.util.find_spec(name))
    return next(installed, "lists")


class Coded:
    """A column of few different values: codes, and what they stand for."""

    def __init__(self, codes: Sequence[int], values: List[str]) -> None:
        self.codes, self.values = codes, values

    def lists(self) -> List[str]:
        values = self.values
        return [values[code] for code in self.codes]


def table(columns: Mapping[str, Any], kind: str) -> Any:
    """A table of these columns."""
    if kind == "pandas":
        import pandas

        def series(column: Any) -> Any:
            if isinstance(column, Coded):
                import numpy

                return pandas.Categorical.from_codes(numpy.asarray(column.codes), categories=column.values)
            return column

        return pandas.DataFrame({name: series(column) for name, column in columns.items()}, copy=False)
    if kind == "polars":
        import polars

        def cells(column: Any) -> Any:
            if isinstance(column, Coded):
                values = polars.Series(column.values, dtype=polars.Enum(column.values))
                return values.gather(polars.Series(column.codes, dtype=polars.UInt16))
            return polars.Series(list(column), strict=False)

        return polars.DataFrame({name: cells(column) for name, column in columns.items()})
    return {name: column.lists() if isinstance(column, Coded) else list(column) for name, column in columns.items()}


def columns_of(data: Any, wanted: Sequence[str]) -> Dict[str, List[Any]]:
    """The columns of these names of a frame or of a mapping of columns."""
    missing = [name for name in wanted if name not in (data.columns if kind_of(data) else data)]
    if missing:
        raise ValueError(f"the table has no column {missing[0]!r}; it needs {', '.join(wanted)}")
    return {name: data[name].to_list() if kind_of(data) else list(data[name]) for name in wanted}
