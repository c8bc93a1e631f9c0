// The model's forward pass: what src/model/cpu/ computes, in typed arrays.

function silu(x) {
  return x / (1 + Math.exp(-x));
}

class Model {
  constructor(data) {
    Object.assign(this, { name: data.name, latent: data.latent, angles: data.angles, radians: data.radians });
    this.weights = floatsOf(data.weights);
    this.tensors = new Map(data.tensors.map((tensor) => [tensor.name, tensor]));
    this.given = data.columns.filter((column) => column.given);
    this.generated = data.columns.filter((column) => !column.given);
    this.offsets = [];
    let offset = 0;
    for (const column of data.columns) {
      this.offsets.push(offset);
      offset += column.values.length;
    }
    this.autoregressive = this.tensors.has("decoder.trunk.prefix.weight");
    this.state = this.tensors.get("decoder.trunk.condition.weight").shape[1];
    let first = 0;
    this.heads = this.generated.map((column) => {
      const width = this.tensors.get(`decoder.${column.name}.input.bias`).shape[0];
      const head = { name: column.name, width, size: column.values.length, first };
      first += 2 * width;
      return head;
    });
    this.latentWidth = first;
    this.cache = this.heads.map(() => new Map());
  }

  tensor(name) {
    const { shape, start } = this.tensors.get(name);
    return this.weights.subarray(start, start + shape.reduce((a, b) => a * b, 1));
  }

  // weight [outputs, inputs] times x, plus bias.
  linear(name, x) {
    const bias = this.tensor(`${name}.bias`);
    const out = Float32Array.from(bias);
    if (!x.length) return out;
    const weight = this.tensor(`${name}.weight`);
    const inputs = x.length;
    for (let o = 0, place = 0; o < out.length; o++) {
      let sum = 0;
      for (let i = 0; i < inputs; i++) sum += weight[place++] * x[i];
      out[o] += sum;
    }
    return out;
  }

  // A head's units before z enters, of a row's given columns and the generated ones before the head's own.
  units(column, row) {
    const seen = this.given.length + (this.autoregressive ? column : 0);
    const key = row.slice(0, seen).join();
    const cache = this.cache[column];
    let units = cache.get(key);
    if (units === undefined) {
      if (cache.size > 4096) cache.clear();
      units = this.linear(`decoder.${this.heads[column].name}.input`, this.features(row, seen)).map(silu);
      cache.set(key, units);
    }
    return units;
  }

  features(row, seen) {
    const state = new Float32Array(this.state);
    const add = (name, place) => {
      const table = this.tensor(`decoder.trunk.${name}.weight`);
      for (let i = 0; i < state.length; i++) state[i] += table[place * state.length + i];
    };
    const given = this.given.length;
    for (let i = 0; i < seen; i++) {
      if (i < given) add("condition", this.offsets[i] + row[i]);
      else add("prefix", this.offsets[i] - this.offsets[given] + row[i]);
    }
    if (!this.angles) return this.linear("decoder.trunk.hidden", state.map(silu)).map(silu);
    const features = new Float32Array(this.angles + state.length);
    for (let i = 0; i < this.angles; i++) {
      const angle = Math.fround(state[i] * this.radians);
      features[i] = Math.cos(angle);
      features[this.angles + i] = Math.sin(angle);
    }
    features.set(state.subarray(this.angles), 2 * this.angles);
    return features;
  }

  // z of a standard normal code: the code itself, or m(c) + s(c) u under a conditional prior.
  codeOf(condition, u) {
    if (!this.tensors.has("prior.embed.weight")) return u;
    const outputs = this.perceptron("prior", condition);
    return Float32Array.from(u, (value, i) => outputs[i] + Math.exp(4 * Math.tanh(outputs[this.latent + i] / 8)) * value);
  }

  // The means, then what logarithms of variances are made from, of a network on some columns' values.
  perceptron(name, row) {
    const table = this.tensor(`${name}.embed.weight`);
    const hidden = this.tensors.get(`${name}.embed.weight`).shape[1];
    const units = new Float32Array(hidden);
    Array.from(row).forEach((value, column) => {
      const start = (this.offsets[column] + value) * hidden;
      for (let i = 0; i < hidden; i++) units[i] += table[start + i];
    });
    const deep = this.linear(`${name}.hidden`, units.map(silu)).map(silu);
    return this.linear(`${name}.output`, deep);
  }

  // All heads' gates and shifts of a code.
  gates(condition, u) {
    return this.linear("decoder.latent", this.codeOf(condition, u));
  }

  logits(column, units, gates) {
    const { name, width, first } = this.heads[column];
    const gated = new Float32Array(width);
    for (let i = 0; i < width; i++) gated[i] = silu(units[i] + units[i] * gates[first + i] + gates[first + width + i]);
    const hidden = this.linear(`decoder.${name}.hidden`, gated);
    for (let i = 0; i < width; i++) hidden[i] = silu(hidden[i]) + gated[i];
    return this.linear(`decoder.${name}.output`, hidden);
  }

  // The generated values of a condition under z; `choose(logits, column)` picks each. `watch` is shown all logits.
  decode(condition, z, choose, watch) {
    const row = Array.from(condition);
    const gates = this.gates(condition, z);
    for (let column = 0; column < this.heads.length; column++) {
      const logits = this.logits(column, this.units(column, row), gates);
      if (watch) watch(column, logits);
      row.push(choose(logits, column));
    }
    return row.slice(condition.length);
  }

  // The mean of the posterior of a whole row.
  posteriorMean(row) {
    return this.perceptron("encoder", row).slice(0, this.latent);
  }

  code(random) {
    return Float32Array.from({ length: this.latent }, () => random.normal());
  }
}

// The most likely value; the first of equal ones.
function greedy(logits) {
  let best = 0;
  for (let i = 1; i < logits.length; i++) if (logits[i] > logits[best]) best = i;
  return best;
}

// Draws by the inverse of the distribution function.
function sampling(random, temperature) {
  return (logits) => {
    const highest = logits[greedy(logits)];
    const weights = logits.map((logit) => Math.exp((logit - highest) / temperature));
    let mark = random.uniform() * weights.reduce((a, b) => a + b, 0);
    for (let i = 0; i < weights.length; i++) {
      mark -= weights[i];
      if (mark < 0) return i;
    }
    return weights.length - 1;
  };
}
