// Annotations that are probably wrong, the likeliest errors first. #suspects/KIND shows one kind alone.

/** At most this many suspects are listed. */
const MOST_SUSPECTS = 300;

view("suspects", "Suspects", (root, chosen, more) => {
  const { kinds, listed } = data.suspects;
  const total = kinds.reduce((sum, kind) => sum + kind.found, 0);
  root.append(quiet("Annotations that are probably wrong, as judged by models that have not learned from the patient. The score estimates how likely that is. A missing box is filtered by the suggested class."));
  if (!total) {
    root.append(quiet("There are no suspects."));
    return;
  }
  const [asked] = more;
  const known = kinds.some((kind) => kind.name === asked);
  if (asked && !known) root.append(note(`There is no kind of suspect ${asked}.`));
  const passing = suspectsShown(chosen);
  root.append(suspectKinds(kinds, passing));
  if (total > listed.length) root.append(quiet(`The page has the ${number(listed.length)} with the highest scores of ${counted(total, "suspect")}; all are in suspects.csv.`));
  const found = known ? passing.filter((each) => each.kind === asked) : passing;
  if (known) root.append(h("p", {}, link({ view: "suspects", more: [] }, "Show all kinds")));
  if (!found.length) {
    root.append(quiet("No suspect passes the filters."));
    return;
  }
  const shown = found.slice(0, MOST_SUSPECTS);
  const drawn = shown.filter((each) => each.picture !== null).length;
  root.append(quiet(saidOfSuspects(drawn, shown.length)));
  root.append(h("ol", { class: "suspects" }, shown.map(suspectShown)));
  if (found.length > shown.length) root.append(quiet(`and ${number(found.length - shown.length)} more with lower scores: filter, or see suspects.csv`));
});

/** The suspects that pass the facets. A missing box has no cell: its image and its suggested class must pass. */
function suspectsShown(chosen) {
  const passing = new Set(chosen.cells);
  const around = new Set(choose(state.chosen, "class").images);
  const classes = state.chosen.class;
  return data.suspects.listed.filter((each) => (each.cell === null ? around.has(each.image) && (!classes?.size || classes.has(each.class)) : passing.has(each.cell)));
}

function suspectKinds(kinds, passing) {
  const rows = kinds.flatMap(({ name, meaning, found }) => {
    const here = passing.filter((each) => each.kind === name).length;
    return found ? [{ name, href: address({ view: "suspects", more: [name] }), cells: [number(here), number(found), meaning] }] : [];
  });
  return table("Suspects by kind", "kind", ["shown", "in all", { title: "what is probably wrong", wide: true }], rows);
}

function saidOfSuspects(drawn, shown) {
  if (!drawn) return "There are no pictures of these.";
  const lines = "A solid line is the annotated box, a dashed one the suggested box.";
  return drawn === shown ? lines : `${lines} ${number(drawn)} of these ${number(shown)} have a picture: the likeliest errors of all.`;
}

function suspectShown(suspect) {
  const { image, cell, picture: drawn } = suspect;
  const id = images.id[image];
  const given = cell === null ? null : data.classes[cells.class[cell]];
  const label = suspect.class === null ? null : data.classes[suspect.class];
  const suggested = [suspect.suggested ? [label && swatch(label.colour), label ? label.name : suspect.suggested] : null, suspect.box && !suspect.suggested ? "another box" : null].filter(Boolean);
  const said = [suspect.kind, given ? `annotated as ${given.name}` : "no box", suspect.suggested && `suggested: ${suspect.suggested}`].filter(Boolean).join(", ");
  const [solid, dashed] = data.suspects.strokes;
  const inFrame = { view: "frames", more: cell === null ? [id] : [id, String(cells.id[cell])] };
  const patient = data.patients[images.patient[image]];
  return h(
    "li",
    { class: "suspect" },
    h("p", {}, h("b", {}, suspect.score.toFixed(2)), " ", h("b", {}, suspect.kind)),
    drawn === null ? null : picture(drawn, `${id}: ${said}`),
    h("p", {}, drawn !== null && given ? strokeOf(solid, false) : null, "annotated: ", given ? h("span", { class: "named" }, swatch(given.colour), given.name) : "no box"),
    suggested.length ? h("p", {}, drawn !== null && suspect.box ? strokeOf(dashed, true) : null, "suggested: ", h("span", {}, suggested)) : null,
    h("p", {}, suspect.reason),
    h("p", { class: "quiet" }, framed.has(image) ? link(inFrame, id) : h("span", {}, id), cell === null ? null : ` cell ${number(cells.id[cell])}`, patient.unknown ? null : [", patient ", h("span", {}, patient.name)], data.parts.length > 1 ? [", part ", h("span", {}, data.parts[images.part[image]].name)] : null),
  );
}
