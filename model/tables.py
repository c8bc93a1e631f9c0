"""Tables as CSV with a header: given columns found by name, their values by the schema, generated columns added."""

import csv
import io
import json
from typing import IO, Callable, Dict, List, Optional, Sequence

import numpy as np

from decoder import Column, Schema
from files import BadInput, say
from text import WHITE

SHOWN = 10  # faulty rows that are shown one by one
VALUES = 12  # values of a column that a message lists


def bin_of(column: Column, text: str) -> Optional[int]:
    """The index of the bin that a number lies in."""
    try:
        number = float(text)
    except ValueError:
        return None
    edges = column.edges
    if not edges or "_" in text or not edges[0] <= number <= edges[-1]:
        return None
    after = sum(edge <= number for edge in edges)
    return column.size - (len(edges) - 1) + min(after - 1, len(edges) - 2)


def unknown(column: Column, text: str) -> str:
    """What is said of a value that a column has not."""
    more = f" and {column.size - VALUES} more" if column.size > VALUES else ""
    known = ", ".join(column.values[:VALUES]) + more
    return f"{column.name} has no value {json.dumps(text, ensure_ascii=False)}; its values are {known}"


class Table:
    """The records of a table, and the condition of each that is not bad."""

    def __init__(self, name: str, data: bytes, schema: Schema) -> None:
        try:
            text = data.decode("utf-8-sig")
        except UnicodeDecodeError as error:
            line = data[:error.start].count(b"\n") + 1
            raise BadInput(f"{name}:{line}: not UTF-8 text; convert the file, as with iconv -f LATIN1 -t UTF-8") from None
        reader = csv.reader(io.StringIO(text, newline=""), strict=True)
        self.schema, self.names, self.records = schema, [], []  # type: Schema, List[str], List[List[str]]
        self.bad: Dict[int, str] = {}
        conditions: List[Sequence[int]] = []
        known = [{value: index for index, value in enumerate(column.values)} for column in schema.given]
        line = 1
        try:
            for record in reader:
                fields, start, line = [field.strip(WHITE) for field in record], line, reader.line_num + 1
                if not fields:
                    continue
                if not self.names:
                    self.names = fields
                    places = self.places(name)
                    continue
                if len(fields) != len(self.names):
                    raise BadInput(f"{name}:{start}: {len(fields)} fields where the header has {len(self.names)}; "
                                   "a comma within a field needs quotes around the field")
                texts = [fields[place] for place in places]
                found = [indices[text] if text in indices else bin_of(column, text)
                         for column, indices, text in zip(schema.given, known, texts)]
                if None in found:
                    wrong = found.index(None)
                    self.bad[len(self.records)] = unknown(schema.given[wrong], texts[wrong])
                    if len(self.bad) <= SHOWN:
                        say(f"{name}:{start}: {self.bad[len(self.records)]}")
                else:
                    conditions.append(found)  # type: ignore[arg-type]
                self.records.append(fields)
        except csv.Error as error:
            raise BadInput(f"{name}:{line}: {error}") from None
        if len(self.bad) > SHOWN:
            say(f"... and {len(self.bad) - SHOWN} more bad rows")
        self.conditions = np.array(conditions, dtype=np.int64).reshape(-1, len(schema.given))

    def places(self, name: str) -> List[int]:
        """Where the given columns stand."""
        missing = [column.name for column in self.schema.given if column.name not in self.names]
        if missing:
            raise BadInput(f"{name}:1: the header lacks {', '.join(missing)}; it has {', '.join(self.names[:20])}")
        return [self.names.index(column.name) for column in self.schema.given]

    def writer(self, out: IO[bytes]) -> Callable[[int, Optional[List[int]]], None]:
        """Writes the header; what it returns writes a record with a generated row, or with none."""
        generated = self.schema.generated
        kept = [place for place, name in enumerate(self.names) if all(name != column.name for column in generated)]
        buffer = io.StringIO()
        rows = csv.writer(buffer, lineterminator="\n")

        def put(fields: List[str]) -> None:
            rows.writerow(fields)
            out.write(buffer.getvalue().encode())
            buffer.seek(0)
            buffer.truncate()

        def write(place: int, row: Optional[List[int]]) -> None:
            values = [""] * len(generated) if row is None else [c.values[value] for c, value in zip(generated, row)]
            put([self.records[place][field] for field in kept] + values)

        put([self.names[place] for place in kept] + [column.name for column in generated])
        return write
