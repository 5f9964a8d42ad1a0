// The confusion matrix, counted from what passes the facets. A square leads to the pictures of its cells.

/** The most cells of a square that are shown at once. */
const MOST_IN_SQUARE = 60;

/** In an address, what is no class is in brackets: a class might be called "missed". */
const inAddress = (name, number) => (number === NONE ? `(${name})` : name);

/** The square that was shown last: only another one is scrolled to. */
let lastSquare = "";

view("confusion", "Confusion", (root, chosen, more) => {
  const classes = [...Array(outcomes.classes).keys()];
  const rows = outcomes.detector ? [...classes, NONE] : classes;
  const at = (truth, predicted) => (truth === NONE ? outcomes.classes : truth) * (outcomes.classes + 1) + (predicted === NONE ? outcomes.classes : predicted);
  const passed = chosenOutcomes(chosen);
  const counts = Array((outcomes.classes + 1) ** 2).fill(0);
  for (const row of passed) counts[at(outcomes.true[row], outcomes.predicted[row])]++;
  const asked = askedSquare(rows, more);
  const square = (truth, predicted, whole) => {
    const count = counts[at(truth, predicted)];
    if (!count) return h("td", { class: "quiet" }, "0");
    const name = `${trueName(truth)} → ${predictedName(predicted)}`;
    const current = asked && asked.truth === truth && asked.predicted === predicted;
    const shade = `color-mix(in srgb, var(--bar) ${Math.round((55 * count) / whole)}%, var(--ground))`;
    const href = address({ view: "confusion", more: [inAddress(trueName(truth), truth), inAddress(predictedName(predicted), predicted)] });
    const text = [number(count), h("span", { class: "share" }, percent(count / whole, 0))];
    return h("td", { style: { background: shade } }, h("a", { href, id: `square-${truth}-${predicted}`, title: name, "aria-label": `${name}: ${number(count)}, ${percent(count / whole, 0)} of the row`, "aria-current": current ? "true" : null }, text));
  };
  const head = (number, name, scope) => h("th", { scope }, h("span", { class: "row-name", title: name }, classLabel(number, name)));
  const body = rows.map((truth) => {
    const whole = rows.reduce((sum, predicted) => sum + counts[at(truth, predicted)], 0) || 1;
    return h("tr", {}, head(truth, trueName(truth), "row"), rows.map((predicted) => (truth === NONE && predicted === NONE ? h("td", {}) : square(truth, predicted, whole))));
  });
  const caption = outcomes.detector ? `Rows are true, columns predicted, at score ${data.run.threshold}, IoU ${data.run.iou}` : "Rows are true, columns predicted";
  const top = h("tr", {}, h("th", { scope: "col" }, "true class"), rows.map((predicted) => head(predicted, predictedName(predicted), "col")));
  const made = h("table", { class: "confusion" }, h("caption", {}, caption), h("thead", {}, top), h("tbody", {}, body));
  root.append(h("div", { class: "scroll", tabindex: "0", role: "region", "aria-label": "Confusion matrix" }, made));
  root.append(quiet("The share of its row shades a square. Follow a square to see its cells.", outcomes.detector ? " Spurious boxes have no cell; the filter of classes takes them by their predicted class." : ""));
  if (asked) showSquare(root, asked, passed);
});

/** The square in an address; null if there is none of this name. */
function askedSquare(rows, [truth, predicted]) {
  const find = (name, nameOf) => rows.find((number) => inAddress(nameOf(number), number) === name);
  const found = { truth: find(truth, trueName), predicted: find(predicted, predictedName) };
  return found.truth === undefined || found.predicted === undefined ? null : found;
}

function showSquare(root, { truth, predicted }, passed) {
  const inside = passed.filter((row) => outcomes.true[row] === truth && outcomes.predicted[row] === predicted);
  const order = predicted === NONE ? "largest first" : truth === predicted ? "least sure first" : "surest first";
  const title = h("h3", {}, classLabel(truth, trueName(truth)), truth === predicted ? " (right)" : [" → ", classLabel(predicted, predictedName(predicted))]);
  root.append(title, ...outcomeTiles(inside, MOST_IN_SQUARE, order));
  const name = `${truth} ${predicted}`;
  if (name !== lastSquare) requestAnimationFrame(() => title.scrollIntoView({ block: "center" }));
  lastSquare = name;
}
