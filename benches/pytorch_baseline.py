#!/usr/bin/env python3
"""The same model, objective and training step in PyTorch, to measure `cvae` against. Run by benches/bench.py.

Two ways of writing it: `plain`, as the equations stand, with one-hot inputs and a forward pass for each term; and
`tuned`, with what makes `cvae` fast and can be said in PyTorch: rows looked up in place of one-hot products, and what
does not depend on z computed once for both codes of a date.

    python pytorch_baseline.py serve CASE THREADS      commands on standard input, one line of JSON for each:
        versions                                       of what runs here
        check WAY [compile]                            whether terms and updated weights are those of `cvae`;
                                                       compiled, those of the last phase alone, which is timed
        train WAY PHASE STEPS [compile]                seconds of so many steps, after a tenth as many to warm up
        evaluate MODEL SAMPLES                         seconds of so many greedy samples of every condition
    python pytorch_baseline.py predict MODEL INPUT OUTPUT THREADS
"""

import json
import math
import pathlib
import platform
import re
import sys
import time

import torch
import torch.nn.functional as F
from safetensors.numpy import load_file

CONDITION, DATE = [7, 12, 2, 41], [41, 12, 10, 31]
FIELDS = ["decade", "month", "digit", "day"]
PHASES = ["calendar", "code", "match"]
RADIANS_PER_UNIT = 6.0


class OneHot(torch.nn.Module):
    """A linear layer without bias on concatenated one-hot blocks."""

    def __init__(self, sizes, width, look_up):
        super().__init__()
        self.sizes, self.look_up = sizes, look_up
        self.weight = torch.nn.Parameter(torch.empty(sum(sizes), width))

    def forward(self, indices):
        return sum(self.field(field, indices[:, field]) for field in range(len(self.sizes))) if self.look_up else (
            torch.cat([F.one_hot(indices[:, field], size) for field, size in enumerate(self.sizes)], 1).float()
            @ self.weight
        )

    def field(self, field, values):
        start, size = sum(self.sizes[:field]), self.sizes[field]
        rows = self.weight[start : start + size]
        return F.embedding(values, rows) if self.look_up else F.one_hot(values, size).float() @ rows


def tensors(path):
    """A file's tensors by name; bytes are indices."""
    loaded = {name: torch.from_numpy(array) for name, array in load_file(path).items()}
    return {name: tensor.long() if tensor.dtype == torch.uint8 else tensor for name, tensor in loaded.items()}


def linear(scope, name, inputs, outputs):
    scope.add_module(name, torch.nn.Linear(inputs, outputs))


class Encoder(torch.nn.Module):
    def __init__(self, settings, look_up):
        super().__init__()
        width, latent = settings["hidden_dim"], settings["latent_dim"]
        self.embed = OneHot(CONDITION + DATE, width, look_up)
        linear(self, "hidden", width, width)
        linear(self, "output", width, 2 * latent)

    def forward(self, condition, date):
        units = F.silu(self.hidden(F.silu(self.embed(torch.cat([condition, date], 1)))))
        mu, logvar = self.output(units).chunk(2, 1)
        return mu, torch.tanh(logvar / 8) * 8


class Decoder(torch.nn.Module):
    def __init__(self, settings, look_up):
        super().__init__()
        self.angles, hidden = settings["angles"], settings["hidden_dim"]
        self.additive = settings["trunk"] == "additive"
        self.trunk = torch.nn.Module()
        if self.additive:
            state = features = 2 * self.angles
            linear(self.trunk, "hidden", state, features)
        else:
            state, features = self.angles + self.angles // 2, 2 * self.angles + self.angles // 2
        self.trunk.condition = OneHot(CONDITION, state, look_up)
        self.autoregressive = settings["heads"] == "autoregressive"
        if self.autoregressive:
            self.trunk.prefix = OneHot(DATE[:3], state, look_up)
        self.widths = [max(hidden // 4, 1), max(hidden // 4, 1), hidden, hidden]
        # A model without z has constant gates and shifts.
        self.has_codes, outputs = settings["latent_dim"] > 0, 2 * sum(self.widths)
        self.latent = torch.nn.Linear(settings["latent_dim"], outputs) if self.has_codes else torch.nn.Module()
        if not self.has_codes:
            self.latent.bias = torch.nn.Parameter(torch.empty(outputs))
        for name, width, size in zip(FIELDS, self.widths, DATE):
            head = torch.nn.Module()
            linear(head, "input", features, width)
            linear(head, "hidden", width, width)
            linear(head, "output", width, size)
            self.add_module(name, head)

    def features(self, state):
        if self.additive:
            return F.silu(self.trunk.hidden(F.silu(state)))
        angle = state[:, : self.angles] * RADIANS_PER_UNIT
        return torch.cat([angle.cos(), angle.sin(), state[:, self.angles :]], 1)

    def advance(self, state, field, values):
        return state + self.trunk.prefix.field(field, values) if self.autoregressive and field < 3 else state

    def units(self, features, field):
        return F.silu(getattr(self, FIELDS[field]).input(features))

    def logits(self, units, part, field):
        head, (gate, shift) = getattr(self, FIELDS[field]), part.chunk(2, 1)
        gated = F.silu(units + units * gate + shift)
        return head.output(F.silu(head.hidden(gated)) + gated)

    def parts(self, z):
        gates = self.latent(z) if self.has_codes else self.latent.bias.unsqueeze(0)
        return gates.split([2 * width for width in self.widths], 1)

    def forced_units(self, condition, date):
        state, units = self.trunk.condition(condition), []
        features = self.features(state)
        for field in range(4):
            # Independent heads read the same features.
            features = self.features(state) if self.autoregressive and field else features
            units.append(self.units(features, field))
            state = self.advance(state, field, date[:, field])
        return units

    def generate(self, condition, z):
        """Greedy dates [n, 4]."""
        state, parts, fields = self.trunk.condition(condition), self.parts(z), []
        for field in range(4):
            values = self.logits(self.units(self.features(state), field), parts[field], field).argmax(1)
            state = self.advance(state, field, values)
            fields.append(values)
        return torch.stack(fields, 1)


class Model(torch.nn.Module):
    def __init__(self, settings, look_up):
        super().__init__()
        self.encoder = Encoder(settings, look_up) if settings["latent_dim"] else None
        self.decoder = Decoder(settings, look_up)

    def reconstruction(self, units, z, date):
        parts = self.decoder.parts(z)
        logits = (self.decoder.logits(units[field], parts[field], field) for field in range(4))
        return sum(F.cross_entropy(one, date[:, field]) for field, one in enumerate(logits))


def pair(model, prior, balanced):
    """Which of its condition's dates each code from the prior is paired with, [m, k]."""
    condition, dates, mask, z, uniform = prior
    m, p = mask.shape
    with torch.no_grad():
        mu, logvar = model.encoder(condition.repeat_interleave(p, 0), dates.view(m * p, 4))
        mu, logvar = mu.view(m, 1, p, -1), logvar.view(m, 1, p, -1)
        shares = -0.5 * ((z.unsqueeze(2) - mu).square() / logvar.exp() + logvar).sum(-1) + mask.unsqueeze(1)
        for _ in range(8 if balanced else 0):
            shares = shares - shares.logsumexp(2, keepdim=True)
            shares = shares - shares.logsumexp(1, keepdim=True) + mask.unsqueeze(1)
        passed = shares.softmax(2).cumsum(2)
        return (passed <= uniform.unsqueeze(2) * passed[..., -1:]).sum(2).clamp_max(p - 1)


def objective(model, batch, noise, prior, weights, way, pairing):
    """Loss, reconstruction, KL and reconstruction under codes from the prior, nats per date."""
    (condition, date), (beta, hybrid, free_bits) = batch, weights
    units = model.decoder.forced_units(condition, date)
    zero = torch.zeros(())
    if math.isinf(beta) or model.encoder is None:
        recon = model.reconstruction(units, torch.zeros_like(noise), date)
        return recon, recon, zero, zero
    mu, logvar = model.encoder(condition, date)
    recon = model.reconstruction(units, mu + (0.5 * logvar).exp() * noise, date)
    by_dimension = (0.5 * (mu.square() + logvar.exp() - 1 - logvar)).mean(0)
    kl = by_dimension.sum()
    loss = recon + beta * (by_dimension.clamp_min(free_bits).sum() if free_bits else kl)
    if not hybrid:
        return loss, recon, kl, zero
    if pairing == "own":
        units = units if way == "tuned" else model.decoder.forced_units(condition, date)
        prior_recon = model.reconstruction(units, prior[3].view_as(noise), date)
    else:
        conditions, dates, mask, z, _ = prior
        (m, p), k = mask.shape, z.shape[1]
        rows = (pair(model, prior, pairing == "balanced") + torch.arange(0, m * p, p).unsqueeze(1)).view(-1)
        conditions, dates = conditions.repeat_interleave(p, 0), dates.view(m * p, 4)
        if way == "tuned":  # once for each date, however many codes are paired with it
            units = [part.index_select(0, rows) for part in model.decoder.forced_units(conditions, dates)]
        else:
            units = model.decoder.forced_units(conditions[rows], dates[rows])
        prior_recon = model.reconstruction(units, z.reshape(m * k, -1), dates[rows])
    return loss + hybrid * prior_recon, recon, kl, prior_recon


class Bench:
    """The case that `cvae` wrote, and what is measured with it."""

    def __init__(self, case, settings):
        self.case, self.settings, self.trained, self.compiled = tensors(case), settings, {}, None

    def model(self, way):
        model = Model(self.settings["model"], look_up=way == "tuned")
        weights = {name[8:]: tensor for name, tensor in self.case.items() if name.startswith("weights.")}
        model.load_state_dict(weights)
        return model

    def phase(self, phase):
        """Weights of the terms, learning rate, largest norm of the gradient, memory of Adam's second moments and decay
        of some of the heads' weights."""
        beta, hybrid, free_bits, rate, clip, memory, decay = self.case[f"settings.{phase}"].tolist()
        return (beta, hybrid, free_bits), rate, clip, (memory, decay)

    def optimizer(self, model, phase):
        _, rate, _, (memory, _) = self.phase(phase)
        return torch.optim.Adam(model.parameters(), lr=rate, betas=(0.9, memory))

    @torch.no_grad()
    def decay(self, model, rate, decay):
        """As AdamW has it, for hidden layers and, of what reads the trunk, the columns of the angles, which it cannot name."""
        if decay > 0:
            turning = 2 * self.settings["model"]["angles"]
            for field in FIELDS:
                head = getattr(model.decoder, field)
                head.hidden.weight.mul_(1 - rate * decay)
                if self.settings["model"]["trunk"] == "multiplicative":
                    head.input.weight[:, :turning].mul_(1 - rate * decay)

    def step(self, model, optimizer, batch, noise, prior, phase, way, compiled):
        weights, _, clip, (_, decay) = self.phase(phase)
        if compiled and self.compiled is None:
            # Asking for it loads what compiles, so only where it is wanted.
            self.compiled = torch.compile(objective)
        loss_of = self.compiled if compiled else objective
        terms = loss_of(model, batch, noise, prior, weights, way, self.settings["pairing"])
        optimizer.zero_grad()
        terms[0].backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), clip)
        self.decay(model, optimizer.param_groups[0]["lr"], decay)
        optimizer.step()
        return terms

    def check(self, way, compiled):
        """The largest differences from what `cvae` made of the same batch and noise. NaN, of whichever side, is one."""
        case, found = self.case, {}
        batch = case["batch.condition"], case["batch.date"]
        # A model without z has no noise and no codes, and needs none.
        noise = case.get("noise", torch.empty(len(batch[0]), 0))
        prior = tuple(case.get(f"prior.{name}") for name in ("condition", "dates", "mask", "z", "uniform"))
        for phase in PHASES[-1:] if compiled else PHASES:
            model, (_, rate, _, _) = self.model(way), self.phase(phase)
            optimizer = self.optimizer(model, phase)
            terms = self.step(model, optimizer, batch, noise, prior, phase, way, compiled)
            terms = torch.stack([term.detach() for term in terms]).double()
            theirs = {name: case[f"updated.{phase}.{name}"] for name, _ in model.named_parameters()}
            moved = [(tensor - theirs[name]).abs().view(-1) / rate for name, tensor in model.state_dict().items()]
            found[phase] = {
                "loss": float(terms[0]),
                # A tensor's largest entry is NaN where one is; Python's max may pass it over.
                "terms": float((terms - case[f"terms.{phase}"].double()).abs().max()),
                # Adam's first step is the sign of the gradient; where that is near 0, rounding decides it.
                "updates": float((~(torch.cat(moved) <= 0.01)).float().mean()),
            }
        return found

    def trainee(self, way, phase, compiled):
        """A model and what trains it, kept between calls, so that one is compiled once."""
        if (way, phase, compiled) not in self.trained:
            model = self.model(way)
            optimizer = self.optimizer(model, phase)
            schedule = torch.optim.lr_scheduler.LambdaLR(optimizer, lambda step: min(1.0, (step + 1) / 100))
            self.trained[way, phase, compiled] = model, optimizer, schedule
        return self.trained[way, phase, compiled]

    def train(self, way, phase, steps, compiled):
        case, (model, optimizer, schedule) = self.case, self.trainee(way, phase, compiled)
        size, codes = self.settings["batch"], self.settings["codes"]
        dates = torch.utils.data.TensorDataset(case["train.condition"], case["train.date"])
        groups = torch.utils.data.TensorDataset(*(case[f"groups.{name}"] for name in ("condition", "dates", "mask")))
        latent, grouped = self.settings["model"]["latent_dim"], size // codes
        order, conditions = torch.randperm(len(dates)), torch.randperm(len(groups))
        warm_up, window = max(steps // 10, 3), []
        for step in range(warm_up + steps):
            if step == warm_up:
                started = time.perf_counter()
            rows = order[step * size % (len(order) - size) :][:size]
            prior = None
            if self.phase(phase)[0][1] > 0 and latent:
                some = conditions[step * grouped % (len(conditions) - grouped) :][:grouped]
                prior = (*groups[some], torch.randn(grouped, codes, latent), torch.rand(grouped, codes))
            noise = torch.randn(size, latent)
            terms = self.step(model, optimizer, dates[rows], noise, prior, phase, way, compiled)
            schedule.step()
            window.append(terms[0].detach())
            if len(window) == 10:  # as often as `cvae` looks at its losses
                assert math.isfinite(torch.stack(window).mean().item())
                window = []
        seconds = time.perf_counter() - started
        return {"seconds": seconds, "steps_per_second": steps / seconds}

    def evaluate(self, folder, samples):
        """Pass rate and coverage of greedy samples of every condition that some date meets."""
        model, latent = load_model(folder)
        started = time.perf_counter()
        met = self.case["valid"].flatten().long()
        dates = torch.zeros(7 * 12 * 2 * 41).index_add(0, met.clamp_min(0), (met >= 0).float())
        conditions = dates.nonzero().squeeze(1)
        counts = torch.zeros(len(met))
        with torch.no_grad():
            for block in conditions.repeat_interleave(samples).split(8192):
                fields = torch.stack([block // 984, block // 82 % 12, block // 41 % 2, block % 41], 1)
                drawn = model.generate(fields, torch.randn(len(block), latent))
                index = ((drawn[:, 0] * 12 + drawn[:, 1]) * 10 + drawn[:, 2]) * 31 + drawn[:, 3]
                counts += torch.bincount(index[met[index] == block], minlength=len(met))
        passes = torch.zeros(len(dates)).index_add(0, met.clamp_min(0), counts)
        hit = torch.zeros(len(dates)).index_add(0, met.clamp_min(0), (counts > 0).float())
        seconds = time.perf_counter() - started
        return {
            "seconds": seconds,
            "pass_rate": float(passes.sum() / samples / len(conditions)),
            "coverage": float((hit[conditions] / dates[conditions]).mean()),
        }


def load_model(folder):
    """The decoder of a release or a run, and its number of latent dimensions."""
    folder = pathlib.Path(folder)
    section = (folder / "config.toml").read_text().split("[model]")[1].split("\n[")[0]
    pairs = re.findall(r"(\w+) = (\S+)", section)
    settings = {key: int(value) if value.isdigit() else value.strip('"') for key, value in pairs}
    path = next(folder / name for name in ("cvae.safetensors", "model.safetensors") if (folder / name).exists())
    weights = {name[8:]: tensor for name, tensor in tensors(path).items() if name.startswith("decoder.")}
    decoder = Decoder(settings, look_up=True)
    decoder.load_state_dict(weights)
    return decoder, settings["latent_dim"]


def predict(folder, source, target):
    """A date for each line, a batch at a time; good lines are taken for granted."""
    model, latent = load_model(folder)
    values = [
        {f"[{value}]": index for index, value in enumerate(names)}
        for names in (
            "MON TUE WED THU FRI SAT SUN".split(),
            "JAN FEB MAR APR MAY JUN JUL AUG SEP OCT NOV DEC".split(),
            ["False", "True"],
            range(180, 221),
        )
    ]
    lines = pathlib.Path(source).read_text().split("\n")
    conditions = torch.tensor([[names[word] for names, word in zip(values, line.split())] for line in lines])
    torch.manual_seed(1)
    written = []
    with torch.no_grad():
        for block in conditions.split(8192):
            written += model.generate(block, torch.randn(len(block), latent)).tolist()
    dates = (f"{day + 1}-{month + 1}-{1800 + 10 * decade + digit}" for decade, month, digit, day in written)
    pathlib.Path(target).write_text("\n".join(f"{line} {date}" for line, date in zip(lines, dates)))


def serve(bench):
    for line in sys.stdin:
        command, *words = line.split()
        if command == "versions":
            answer = {"Python": platform.python_version(), "PyTorch": str(torch.__version__)}
        elif command == "check":
            answer = bench.check(words[0], words[1:] == ["compile"])
        elif command == "train":
            way, phase, steps = words[:3]
            answer = bench.train(way, phase, int(steps), words[3:] == ["compile"])
        elif command == "evaluate":
            answer = bench.evaluate(words[0], int(words[1]))
        else:
            raise SystemExit(f"no such command: {line}")
        print(json.dumps(answer), flush=True)


def main():
    torch.set_num_threads(int(sys.argv[-1]))
    if sys.argv[1] == "predict":
        predict(*sys.argv[2:5])
    else:
        case = pathlib.Path(sys.argv[2])
        serve(Bench(case, json.loads(case.with_suffix(".json").read_text())))


if __name__ == "__main__":
    main()
