"""The decoder of a model, from its folder: settings, weights, and the forward pass.

What `src/model/decoder.rs` computes, written a second time: a test feeds both the same latent codes.
"""

import hashlib
import json
import pathlib
import re
from typing import Any, Callable, Dict, List, NamedTuple, Optional, Sequence, Tuple

import numpy as np
import safetensors
import safetensors.numpy

from files import BadInput, Failure, read_text, reading, unlisted, vouched

# Sizes of the one-hot blocks: weekday, month, leap year, decade of a condition; the fields of a date as generated.
CONDITION_FIELDS = [7, 12, 2, 41]
DATE_FIELDS = {"decade": 41, "month": 12, "digit": 10, "day": 31}


class Column(NamedTuple):
    """A column: its values in order, whether the given columns determine it, and edges where its last values are bins."""

    name: str
    values: Sequence[str]
    determined: bool = False
    edges: Sequence[float] = ()

    @property
    def size(self) -> int:
        return len(self.values)


class Schema(NamedTuple):
    """Given columns, then generated ones in their order."""

    given: List[Column]
    generated: List[Column]


DATES = Schema(
    [Column(str(place), [""] * size) for place, size in enumerate(CONDITION_FIELDS)],
    [Column(name, [""] * size, name in ("decade", "month")) for name, size in DATE_FIELDS.items()],
)

DEFAULTS = {"kind": "cvae", "latent_dim": 8, "hidden_dim": 128, "angles": 64, "heads": "autoregressive", "trunk": "multiplicative",
            "prior": "standard"}
SMALLEST = {"latent_dim": 0}  # a model without z; other sizes are 1 at least
KINDS = {"kind": ("cvae",), "heads": ("autoregressive", "independent"), "trunk": ("multiplicative", "additive"),
         "prior": ("standard", "conditional")}
RADIANS_PER_UNIT = np.float32(6.0)
LOGVAR_BOUND = np.float32(8.0)  # of logarithms of variances, soft

Config = Dict[str, Any]
Weights = Dict[str, np.ndarray]
# Chooses a value from each row of a field's logits [n, values].
Choice = Callable[[int, np.ndarray], np.ndarray]


def read_config(path: pathlib.Path) -> Config:
    """The [model] table of a resolved config: scalars, one a line."""
    config: Config = dict(DEFAULTS)
    table = None
    text = read_text(path)
    vouched(path, text.encode(), demanded=True)
    for number, line in enumerate(text.splitlines(), 1):
        header = re.match(r"\s*\[\s*([\w.-]+)\s*\]\s*(#.*)?$", line)
        table = header.group(1) if header else table
        if header or table != "model" or re.match(r"\s*(#.*)?$", line):
            continue
        pair = re.match(r'\s*([\w-]+)\s*=\s*(?:"([a-z]*)"|(\d+))\s*(#.*)?$', line)
        key, kind, size = pair.group(1, 2, 3) if pair else (None, None, None)
        if re.match(r"\s*smoothing\s*=", line):  # a baseline's
            continue
        if key in KINDS and kind in KINDS[key]:
            config[key] = kind
        elif key in DEFAULTS and key not in KINDS and size and int(size) >= SMALLEST.get(key, 1):
            config[key] = int(size)
        else:
            raise BadInput(f"{path}:{number}: {line.strip()!r} is no setting of a model that this program knows")
    return config


def head_name(column: Column) -> str:
    """What a generated column's tensors are called; the trunk has a name of its own."""
    return "column.trunk" if column.name == "trunk" else column.name


def shapes(config: Config, schema: Schema = DATES) -> Dict[str, List[int]]:
    """The decoder's tensors and their shapes."""
    angles, latent, hidden = config["angles"], config["latent_dim"], config["hidden_dim"]
    if config["trunk"] == "additive":
        state = features = 2 * angles
    else:
        state, features = angles + angles // 2, 2 * angles + angles // 2
    found = {"trunk.condition.weight": [sum(column.size for column in schema.given), state]}

    def linear(name: str, inputs: int, outputs: int) -> None:
        if inputs:
            found[f"{name}.weight"] = [outputs, inputs]
        found[f"{name}.bias"] = [outputs]

    # No column is given the last one.
    prefix = sum(column.size for column in schema.generated[:-1])
    if config["heads"] == "autoregressive" and prefix:
        found["trunk.prefix.weight"] = [prefix, state]
    if config["trunk"] == "additive":
        linear("trunk.hidden", state, features)
    widths = [max(hidden // 4, 1) if column.determined else hidden for column in schema.generated]
    linear("latent", latent, 2 * sum(widths))
    for column, width in zip(schema.generated, widths):
        name = head_name(column)
        linear(f"{name}.input", features, width)
        linear(f"{name}.hidden", width, width)
        linear(f"{name}.output", width, column.size)
    if latent and config["prior"] == "conditional":
        found["prior.embed.weight"] = [found["trunk.condition.weight"][0], hidden]
        linear("prior.hidden", hidden, hidden)
        linear("prior.output", hidden, 2 * latent)
    return {name if name.startswith("prior.") else f"decoder.{name}": shape for name, shape in found.items()}


def read_schema(path: pathlib.Path, data: bytes) -> Optional[Schema]:
    """The schema in the header's metadata; none in weights of dates."""
    header = json.loads(data[8:8 + int.from_bytes(data[:8], "little")].decode())
    text = header.get("__metadata__", {}).get("schema")
    if text is None:
        return None
    try:
        parts = json.loads(text)
        schema = Schema(*([Column(**column) for column in parts[key]] for key in ("given", "generated")))
    except (KeyError, TypeError, ValueError) as error:
        raise Failure(f"{path} is not a readable safetensors file (its schema can't be read: {error}); "
                      "copy it again or train again") from None
    return schema


# A header may begin with the SHA-256 of the file, taken with the digest's own digits as zeros.
START = b'{"__metadata__":{"sha256":"'


def check_weights(path: pathlib.Path, data: bytes) -> bool:
    """Whether a checksum vouches for the bytes, in the header or beside the file; an error where one does not."""
    beside = vouched(path, data, demanded=True)
    begin, end = 8 + len(START), 8 + len(START) + 64
    if data[8:begin] != START or len(data) < end:
        return beside
    digest = hashlib.sha256(data[:begin] + b"0" * 64 + data[end:]).hexdigest()
    if data[begin:end] != digest.encode():
        remedy = "copy it again or train again"
        raise Failure(f"{path} is damaged: it does not match the checksum in its header; {remedy}")
    return True


def read_weights(path: pathlib.Path, config: Config) -> Tuple[Weights, Optional[Schema]]:
    """The decoder's weights by name, checked against the config, and their schema but for dates; the encoder is not needed
    to predict."""
    with reading(path) as file:
        data = file.read()
    checked = check_weights(path, data)
    try:
        tensors = safetensors.numpy.load(data)
    except (safetensors.SafetensorError, KeyError, TypeError, ValueError) as error:
        reason = str(error).splitlines()[0]
        raise Failure(f"{path} is not a readable safetensors file ({reason}); copy it again or train again") from None
    if not checked:
        raise unlisted(path)
    tensors = {name: tensor for name, tensor in tensors.items() if not name.startswith("encoder.")}
    schema = read_schema(path, data)
    expected = shapes(config, schema or DATES)

    def mismatch(fault: str) -> Failure:
        remedy = "use the config that the weights were trained with"
        return Failure(f"{path} does not fit the config beside it: {fault}; {remedy}")

    for name, shape in sorted(expected.items()):
        if name not in tensors:
            raise mismatch(f"{name} is missing")
        tensor = tensors[name]
        if list(tensor.shape) != shape:
            raise mismatch(f"{name} has shape {list(tensor.shape)}, the config asks for {shape}")
        if tensor.dtype != np.float32:
            raise mismatch(f"{name} is of kind {tensor.dtype}, expected 32-bit floats")
        if not np.isfinite(tensor).all():
            raise mismatch(f"{name} holds values that are not finite")
    for name in sorted(tensors):
        if name not in expected:
            raise mismatch(f"{name} is in the file and not in the model")
    return tensors, schema


def weights_file(folder: pathlib.Path) -> pathlib.Path:
    """A release calls its weights cvae.safetensors, a finished run model.safetensors."""
    names = ["cvae.safetensors", "model.safetensors"]
    found = [folder / name for name in names if (folder / name).exists()]
    if len(found) == 2:
        raise Failure(f"{folder} holds both {' and '.join(names)}; remove the one that is not of its config.toml")
    if not found:
        ended = any((folder / name).exists() for name in ("metrics.csv", "error.txt"))
        if (folder / "checkpoint").exists() and not ended:
            raise Failure(f"the trial in {folder} has not finished; the command that began it goes on with it")
        remedy = "name a release or a run that kept them, or remove this one (cvae runs rm) and train it again"
        raise Failure(f"{folder} holds no weights: neither {' nor '.join(names)}; {remedy}")
    return found[0]


def load_model(folder: pathlib.Path) -> "Decoder":
    """The decoder in a folder with config.toml and weights."""
    if not folder.exists():
        raise BadInput("there is no such folder; check the path")
    config = read_config(folder / "config.toml")
    return Decoder(config, *read_weights(weights_file(folder), config))


def silu(x: np.ndarray) -> np.ndarray:
    with np.errstate(over="ignore"):  # exp of a large number is infinite, and the quotient then rightly 0
        return x / (1 + np.exp(-x))


class Decoder:
    """p(row | z, condition): a trunk that combines columns, and one head for each generated column."""

    def __init__(self, config: Config, weights: Weights, schema: Optional[Schema] = None) -> None:
        self.config = config
        self.is_dates = schema is None
        self.schema = schema or DATES
        self.weights = {re.sub(r"^decoder\.", "", name): tensor for name, tensor in weights.items()}

    def linear(self, name: str, x: np.ndarray) -> np.ndarray:
        if x.shape[1] == 0:  # a model without z
            return np.tile(self.weights[f"{name}.bias"], (len(x), 1))
        return x @ self.weights[f"{name}.weight"].T + self.weights[f"{name}.bias"]

    def rows(self, table: str, sizes: Sequence[int], field: int, values: np.ndarray) -> np.ndarray:
        """The rows of a table that a field's values stand for: its one-hot block times the table."""
        return self.weights[f"trunk.{table}.weight"][sum(sizes[:field]) + values]

    def features(self, state: np.ndarray) -> np.ndarray:
        if self.config["trunk"] == "additive":
            return silu(self.linear("trunk.hidden", silu(state)))
        # Angles add up; their cosines and sines are the product of unit complex numbers.
        angles = self.config["angles"]
        angle = state[:, :angles] * RADIANS_PER_UNIT
        return np.concatenate([np.cos(angle), np.sin(angle), state[:, angles:]], axis=1)

    def logits(self, field: str, state: np.ndarray, gate: np.ndarray, shift: np.ndarray) -> np.ndarray:
        units = silu(self.linear(f"{field}.input", self.features(state)))
        gated = silu(units + units * gate + shift)
        return self.linear(f"{field}.output", silu(self.linear(f"{field}.hidden", gated)) + gated)

    def codes(self, conditions: np.ndarray, u: np.ndarray) -> np.ndarray:
        """z [n, latent] of standard normal codes u: u itself, or m(c) + s(c) u under a conditional prior."""
        if "prior.embed.weight" not in self.weights:
            return u
        sizes = [column.size for column in self.schema.given]
        units = np.float32(0)
        for place in range(len(sizes)):
            units = units + self.weights["prior.embed.weight"][sum(sizes[:place]) + conditions[:, place]]
        outputs = self.linear("prior.output", silu(self.linear("prior.hidden", silu(units))))
        mean, logvar = np.split(outputs, 2, axis=1)
        return mean + np.exp(np.tanh(logvar / LOGVAR_BOUND) * LOGVAR_BOUND / 2) * u

    def decode(
        self, conditions: np.ndarray, z: np.ndarray, choose: Choice
    ) -> Tuple[np.ndarray, List[np.ndarray]]:
        """Rows [n, generated] and their logits from conditions [n, given] and codes [n, latent], column by column."""
        z = self.codes(conditions, z)
        given, generated = self.schema
        state = np.float32(0)
        for place in range(len(given)):
            state = state + self.rows("condition", [c.size for c in given], place, conditions[:, place])
        names = [head_name(column) for column in generated]
        widths = [len(self.weights[f"{name}.input.bias"]) for name in names]
        parts = np.split(self.linear("latent", z), np.cumsum(2 * np.array(widths))[:-1], axis=1)
        rows, all_logits = np.empty((len(z), len(names)), dtype=np.int64), []
        for number, (name, part) in enumerate(zip(names, parts)):
            logits = self.logits(name, state, *np.split(part, 2, axis=1))
            rows[:, number] = choose(number, logits)
            all_logits.append(logits)
            if number + 1 < len(names) and self.config["heads"] == "autoregressive":
                state = state + self.rows("prefix", [c.size for c in generated], number, rows[:, number])
        return rows, all_logits


def greedy(_: int, logits: np.ndarray) -> np.ndarray:
    """The most likely value."""
    return logits.argmax(axis=1)


def sampling(uniform: np.ndarray, temperature: float) -> Choice:
    """Draws by the inverse of the distribution function, from uniform numbers [n, columns]."""

    def choose(number: int, logits: np.ndarray) -> np.ndarray:
        scaled = logits / np.float32(temperature)
        weights = np.exp(scaled - scaled.max(axis=1, keepdims=True))
        passed = np.cumsum(weights / weights.sum(axis=1, keepdims=True), axis=1)
        mark = uniform[:, number, None] * passed[:, -1:]
        return np.minimum((passed <= mark).sum(axis=1), logits.shape[1] - 1)

    return choose
