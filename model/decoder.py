"""The decoder of a model, from its folder: settings, weights, and the forward pass.

What `src/model/decoder.rs` computes, written a second time: a test feeds both the same latent codes.
"""

import hashlib
import pathlib
import re
from typing import Any, Callable, Dict, List, Sequence, Tuple

import numpy as np
import safetensors
import safetensors.numpy

from files import BadInput, Failure, read_text, reading, unlisted, vouched

# Sizes of the one-hot blocks: weekday, month, leap year, decade of a condition; the fields of a date as generated.
CONDITION_FIELDS = [7, 12, 2, 41]
DATE_FIELDS = {"decade": 41, "month": 12, "digit": 10, "day": 31}

DEFAULTS = {"latent_dim": 8, "hidden_dim": 128, "angles": 64, "heads": "autoregressive", "trunk": "multiplicative"}
SMALLEST = {"latent_dim": 0}  # a model without z; other sizes are 1 at least
KINDS = {"heads": ("autoregressive", "independent"), "trunk": ("multiplicative", "additive")}
RADIANS_PER_UNIT = np.float32(6.0)

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
        if key in KINDS and kind in KINDS[key]:
            config[key] = kind
        elif key in DEFAULTS and key not in KINDS and size and int(size) >= SMALLEST.get(key, 1):
            config[key] = int(size)
        else:
            raise BadInput(f"{path}:{number}: {line.strip()!r} is no setting of a model that this program knows")
    return config


def shapes(config: Config) -> Dict[str, List[int]]:
    """The decoder's tensors and their shapes."""
    angles, latent, hidden = config["angles"], config["latent_dim"], config["hidden_dim"]
    if config["trunk"] == "additive":
        state = features = 2 * angles
    else:
        state, features = angles + angles // 2, 2 * angles + angles // 2
    found = {"trunk.condition.weight": [sum(CONDITION_FIELDS), state]}

    def linear(name: str, inputs: int, outputs: int) -> None:
        if inputs:
            found[f"{name}.weight"] = [outputs, inputs]
        found[f"{name}.bias"] = [outputs]

    if config["heads"] == "autoregressive":
        # The day comes last: no field is given it.
        found["trunk.prefix.weight"] = [sum(list(DATE_FIELDS.values())[:3]), state]
    if config["trunk"] == "additive":
        linear("trunk.hidden", state, features)
    widths = {field: max(hidden // 4, 1) if field in ("decade", "month") else hidden for field in DATE_FIELDS}
    linear("latent", latent, 2 * sum(widths.values()))
    for field, width in widths.items():
        linear(f"{field}.input", features, width)
        linear(f"{field}.hidden", width, width)
        linear(f"{field}.output", width, DATE_FIELDS[field])
    return {f"decoder.{name}": shape for name, shape in found.items()}


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


def read_weights(path: pathlib.Path, config: Config) -> Weights:
    """The decoder's weights by name, checked against the config; the encoder is not needed to predict."""
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
    expected = shapes(config)

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
    return tensors


def weights_file(folder: pathlib.Path) -> pathlib.Path:
    """A release calls its weights cvae.safetensors, a finished run model.safetensors."""
    names = ["cvae.safetensors", "model.safetensors"]
    found = [folder / name for name in names if (folder / name).exists()]
    if len(found) == 2:
        raise Failure(f"{folder} holds both {' and '.join(names)}; remove the one that is not of its config.toml")
    if not found:
        raise Failure(f"{folder} holds no weights: neither {' nor '.join(names)}; name a release or a finished run")
    return found[0]


def load_model(folder: pathlib.Path) -> "Decoder":
    """The decoder in a folder with config.toml and weights."""
    config = read_config(folder / "config.toml")
    return Decoder(config, read_weights(weights_file(folder), config))


def silu(x: np.ndarray) -> np.ndarray:
    with np.errstate(over="ignore"):  # exp of a large number is infinite, and the quotient then rightly 0
        return x / (1 + np.exp(-x))


class Decoder:
    """p(date | z, condition): a trunk that combines fields, and one head for each field of the date."""

    def __init__(self, config: Config, weights: Weights) -> None:
        self.config = config
        self.weights = {name[len("decoder."):]: tensor for name, tensor in weights.items()}

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

    def decode(
        self, conditions: np.ndarray, z: np.ndarray, choose: Choice
    ) -> Tuple[np.ndarray, List[np.ndarray]]:
        """Fields [n, 4] and their logits from conditions [n, 4] and codes z [n, latent], one field after the other."""
        state = self.rows("condition", CONDITION_FIELDS, 0, conditions[:, 0])
        for field in range(1, 4):
            state = state + self.rows("condition", CONDITION_FIELDS, field, conditions[:, field])
        widths = [len(self.weights[f"{field}.input.bias"]) for field in DATE_FIELDS]
        parts = np.split(self.linear("latent", z), np.cumsum(2 * np.array(widths))[:-1], axis=1)
        dates, all_logits = np.empty((len(z), 4), dtype=np.int64), []
        for number, (name, part) in enumerate(zip(DATE_FIELDS, parts)):
            logits = self.logits(name, state, *np.split(part, 2, axis=1))
            dates[:, number] = choose(number, logits)
            all_logits.append(logits)
            if name != "day" and self.config["heads"] == "autoregressive":
                state = state + self.rows("prefix", list(DATE_FIELDS.values()), number, dates[:, number])
        return dates, all_logits


def greedy(_: int, logits: np.ndarray) -> np.ndarray:
    """The most likely value."""
    return logits.argmax(axis=1)


def sampling(uniform: np.ndarray, temperature: float) -> Choice:
    """Draws by the inverse of the distribution function, from uniform numbers [n, 4]."""

    def choose(number: int, logits: np.ndarray) -> np.ndarray:
        scaled = logits / np.float32(temperature)
        weights = np.exp(scaled - scaled.max(axis=1, keepdims=True))
        passed = np.cumsum(weights / weights.sum(axis=1, keepdims=True), axis=1)
        mark = uniform[:, number, None] * passed[:, -1:]
        return np.minimum((passed <= mark).sum(axis=1), logits.shape[1] - 1)

    return choose
