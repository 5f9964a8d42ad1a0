// The class guide: how each class is recognised, beside crops of its cells. #classes/A/B shows A and B alone, side by side.

/** How many crops of a class are shown among all classes; alone or side by side, all that the page has. */
const FEW_CROPS = 12;

view("classes", "Classes", (root, chosen, more) => {
  const numbers = new Map(data.classes.map((each, number) => [each.name, number]));
  const unknown = more.filter((name) => !numbers.has(name));
  if (unknown.length) root.append(note(`These data have no class ${unknown.join(", ")}.`));
  const alone = [...new Set(more)].flatMap((name) => (numbers.has(name) ? [numbers.get(name)] : []));
  const filtered = state.chosen.class?.size ? [...state.chosen.class].sort((a, b) => a - b) : data.classes.map((_, number) => number);
  const shown = alone.length ? alone : filtered;
  if (data.guide.some((each) => each.criteria.length)) root.append(quiet("The criteria are those of the paper's Appendix A; the crops are cells of these data."));
  const blasts = data.classes.flatMap(({ name }, number) => (data.guide[number].blast ? [name] : []));
  if (alone.length) root.append(h("p", {}, link({ view: "classes", more: [] }, "Show all classes"), alone.length > 1 ? ", or click a name to show it alone." : null));
  else if (blasts.length > 1) root.append(h("p", {}, link({ view: "classes", more: blasts }, "Show the blasts side by side"), "."));
  if (!data.guide.some((each) => each.crops.length) && cells.class.length) root.append(quiet("There are no crops: the data set has no image files."));
  const passing = new Set(chosen.cells);
  const totals = data.classes.map(() => 0);
  for (const cell of chosen.cells) totals[cells.class[cell]]++;
  const guides = shown.map((label) => guideOf(label, { total: totals[label], passing, alone }));
  root.append(h("div", { class: alone.length > 1 ? "guides beside" : "guides" }, guides));
});

/** A class: its name, its criteria, and its crops. */
function guideOf(label, { total, passing, alone }) {
  const { name, colour } = data.classes[label];
  const { criteria, crops } = data.guide[label];
  const found = crops.filter(([cell]) => passing.has(cell));
  const shown = alone.length ? found : found.slice(0, FEW_CROPS);
  const unread = shown.filter(([, number]) => !data.pictures[number]).length;
  const tiles = shown.map(([cell, number]) => cropOf(cell, number, patientOrImage(cell)));
  return h(
    "article",
    { class: criteria.length ? "guide" : "guide plain", "aria-label": name },
    h("h3", {}, swatch(colour), alone.length === 1 ? name : link({ view: "classes", more: [name] }, name)),
    h("div", {}, criteria.length ? h("dl", {}, criteria.map(([what, how]) => [h("dt", {}, what), h("dd", {}, how)])) : null, besideLinks(label, alone)),
    h("div", {}, quiet(saidOfCrops(shown.length - unread, total, crops.length, unread), found.length > shown.length ? [" ", link({ view: "classes", more: [name] }, `Show ${number(found.length)}`), "."] : null), h("div", { class: "tiles" }, tiles)),
  );
}

function saidOfCrops(shown, total, drawn, unread) {
  const lost = unread ? ` ${counted(unread, "crop")} cannot be shown: the image ${unread === 1 ? "file" : "files"} cannot be read.` : "";
  if (!total) return "No cells.";
  if (!drawn) return `${counted(total, "cell")}.`;
  if (!shown && unread) return `${counted(total, "cell")}.${lost}`;
  if (!shown) return `${counted(total, "cell")}; none of them is among the ${number(drawn)} that were drawn for the page.`;
  if (shown === total) return `${counted(total, "cell")}.`;
  return `${number(shown)} of ${counted(total, "cell")} are shown; drawn evenly over ${knownPatients() ? "patients" : "images"}.${lost}`;
}

/** The patient of a cell, or else the end of its image's name, which differs more than the beginning. */
function patientOrImage(cell) {
  const patient = data.patients[images.patient[cells.image[cell]]];
  if (!patient.unknown) return patient.name;
  const name = images.id[cells.image[cell]].split("/").pop();
  return name.length > 12 ? `…${name.slice(-10)}` : name;
}

/** Links that put another class beside this one, or beside those that are shown already. */
function besideLinks(label, alone) {
  const here = alone.length ? alone : [label];
  const others = data.classes.flatMap((each, number) => (here.includes(number) ? [] : [number]));
  if (!others.length) return null;
  const names = here.map((each) => data.classes[each].name);
  const items = others.map((other) => h("li", {}, link({ view: "classes", more: [...names, data.classes[other].name] }, data.classes[other].name)));
  return h("details", {}, h("summary", {}, here.length > 1 ? "Beside these" : `Beside ${data.classes[label].name}`), h("ul", { class: "beside-links" }, items));
}
