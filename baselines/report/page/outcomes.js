// What became of each cell, and of each prediction without a cell: the rows that the matrix counts and the mistakes list.

const outcomes = data.outcomes;
/** The true class of a spurious prediction, and its cell; the predicted class of a missed cell. */
const NONE = -1;
outcomes.true = outcomes.cell.map((cell) => (cell === NONE ? NONE : cells.class[cell]));
const pictureOf = new Map(outcomes.pictures);

/** The names of a true and of a predicted class, as they are shown. */
const trueName = (number) => (number === NONE ? "spurious" : data.classes[number].name);
const predictedName = (number) => (number === NONE ? "missed" : data.classes[number].name);

/** The outcomes that pass the facets, in order. A spurious prediction passes with its image, by its predicted class. */
function chosenOutcomes(chosen) {
  const passed = new Set(chosen.cells);
  const there = new Set(choose(state.chosen, "class").images);
  const classes = state.chosen.class?.size ? state.chosen.class : null;
  const passes = (row) =>
    outcomes.cell[row] === NONE ? there.has(outcomes.image[row]) && (!classes || classes.has(outcomes.predicted[row])) : passed.has(outcomes.cell[row]);
  return [...outcomes.cell.keys()].filter(passes);
}

/** "Monocyte, P1/a.jpg cell 3" or "spurious, P1/a.jpg" */
function outcomeName(row) {
  return outcomes.cell[row] === NONE ? `spurious, ${images.id[outcomes.image[row]]}` : cellName(outcomes.cell[row]);
}

function classLabel(number, name) {
  return [number === NONE ? null : swatch(data.classes[number].colour), name];
}

/** The picture of an outcome, what it is, what it was taken for, and how surely. It leads to its frame if the page has it. */
function outcomeTile(row) {
  const truth = outcomes.true[row], predicted = outcomes.predicted[row];
  const name = outcomeName(row);
  const shown = pictureOf.has(row) ? picture(pictureOf.get(row), name, { class: "crop" }) : h("span", { class: "unread", role: "img", "aria-label": `${name}: not among the pictures` }, "no picture");
  const image = outcomes.image[row];
  const cell = outcomes.cell[row];
  const inFrame = { view: "frames", more: [images.id[image], ...(cell === NONE ? [] : [String(cells.id[cell])])] };
  const whole = framed.has(image) ? link(inFrame, shown) : shown;
  const score = outcomes.score[row] === null ? null : h("span", { class: "quiet" }, outcomes.score[row].toFixed(2));
  const lines = [
    h("div", {}, classLabel(truth, trueName(truth))),
    truth === predicted ? null : h("div", {}, "→ ", classLabel(predicted, predictedName(predicted))),
    score && h("div", {}, score),
  ];
  return h("figure", { class: "tile outcome", title: name }, whole, h("figcaption", {}, lines));
}

/** At most `most` of the rows as tiles, and a sentence on how many there are. */
function outcomeTiles(rows, most, order) {
  const shown = rows.slice(0, most);
  const bare = shown.filter((row) => !pictureOf.has(row)).length;
  const few = pictureOf.size && bare ? ` The page has no pictures of ${number(bare)} of them: it holds ${number(pictureOf.size)}, the worst mistakes first.` : "";
  const left = rows.length > most ? ` ${number(rows.length - most)} more: use the filters.` : "";
  const said = rows.length ? `${number(shown.length)} of ${number(rows.length)} shown, ${order}.${left}${few}` : "There are none.";
  return [quiet(said), h("div", { class: "tiles" }, shown.map(outcomeTile))];
}
