// Decodes the same codes as the program, and compares rows and logits.
const page = JSON.parse(byId("data").textContent);
const [model, truth] = [new Model(page.model), new Truth(page.model)];
const [codes, logits, rows] = [floatsOf(wanted.codes), floatsOf(wanted.logits), wordsOf(wanted.rows)];
let [furthest, differing, place, conditions, valid] = [0, 0, 0, 0, 0];
for (let index = 0; index < truth.counts.length; index++) {
  const z = codes.slice(conditions * model.latent, (conditions + 1) * model.latent);
  const condition = truth.condition(index);
  const drawn = model.decode(condition, z, greedy, (column, found) => {
    for (const logit of found) furthest = Math.max(furthest, Math.abs(logit - logits[place++]));
  });
  differing += drawn.some((value, i) => value !== rows[conditions * drawn.length + i]);
  valid += truth.rows(condition).length;
  conditions++;
}
document.body.dataset.report = JSON.stringify({ furthest, differing, conditions, valid, all: place === logits.length });
