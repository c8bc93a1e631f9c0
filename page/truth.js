// The exact truth: every condition's rows with their probabilities, and what rows are called.

class Truth {
  constructor(data) {
    const { conditions, counts, determined, rows, bytes, probabilities } = data.truth;
    this.given = data.columns.filter((column) => column.given);
    this.generated = data.columns.filter((column) => !column.given);
    this.calendar = data.calendar;
    this.sample = data.sample;
    this.conditions = wordsOf(conditions);
    this.counts = countsOf(counts);
    this.determined = wordsOf(determined);
    this.values = bytes === 1 ? bytesOf(rows) : wordsOf(rows);
    this.probabilities = probabilities && floatsOf(probabilities);
    this.starts = new Uint32Array(this.counts.length + 1);
    this.groups = new Map();
    for (let group = 0; group < this.counts.length; group++) {
      this.starts[group + 1] = this.starts[group] + this.counts[group];
      this.groups.set(this.condition(group).join(), group);
    }
  }

  condition(group) {
    return Array.from(this.conditions.subarray(group * this.given.length, (group + 1) * this.given.length));
  }

  // A condition's rows: values of the generated columns, with the probability of each; none where no row meets it.
  rows(condition) {
    const group = this.groups.get(condition.join());
    if (group === undefined) return [];
    const fixed = this.generated.filter((column) => column.determined).length;
    const free = this.generated.length - fixed;
    const rows = [];
    for (let row = this.starts[group]; row < this.starts[group + 1]; row++) {
      let [own, other] = [0, 0];
      const values = this.generated.map((column) =>
        column.determined ? this.determined[group * fixed + own++] : this.values[row * free + other++]);
      rows.push({ values, probability: this.probabilities ? this.probabilities[row] : 1 / this.counts[group] });
    }
    return rows;
  }

  name(values) {
    if (!this.calendar) return values.map((value, place) => `${this.generated[place].name}=${this.generated[place].values[value]}`).join(", ");
    const [decade, month, digit, day] = values;
    return `${day + 1}-${month + 1}-${this.generated[0].values[decade]}${digit}`;
  }

  conditionName(condition) {
    const words = condition.map((value, place) => this.given[place].values[value]);
    return this.calendar ? words.map((word) => `[${word}]`).join(" ") : words.map((word, place) => `${this.given[place].name}=${word}`).join(", ");
  }
}
