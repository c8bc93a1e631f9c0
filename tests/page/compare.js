// Decodes the same codes as the program, and compares rows and logits.
const page = JSON.parse(byId("data").textContent);
const [model, truth] = [new Model(page.model), new Truth(page.model)];
const [codes, logits, rows] = [floatsOf(wanted.codes), floatsOf(wanted.logits), wordsOf(wanted.rows)];
let [furthest, differing, place, conditions, valid, mass] = [0, 0, 0, 0, 0, 0];
for (let index = 0; index < truth.counts.length; index++) {
  const z = codes.slice(conditions * model.latent, (conditions + 1) * model.latent);
  const condition = truth.condition(index);
  const drawn = model.decode(condition, z, greedy, (column, found) => {
    for (const logit of found) {
      const expected = logits[place++];
      // Rounding grows with a logit: beyond 100 the distance is relative.
      furthest = Math.max(furthest, Math.abs(logit - expected) / Math.max(1, Math.abs(expected) / 100));
    }
  });
  differing += drawn.some((value, i) => value !== rows[conditions * drawn.length + i]);
  const listed = truth.rows(condition);
  valid += listed.length;
  mass = Math.max(mass, Math.abs(listed.reduce((sum, row) => sum + row.probability, 0) - 1));
  conditions++;
}
document.body.dataset.report = JSON.stringify({ furthest, differing, conditions, valid, mass, all: place === logits.length });
