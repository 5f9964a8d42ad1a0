// Sizes of boxes and frames, and the stain of patients and sources: the paper's Figure 4.

const MOST_UNUSUAL = 20;
const MOST_FRAME_SIZES = 20;

view("sizes", "Sizes and stain", (root, chosen) => {
  root.append(h("h3", {}, "Boxes"), ...boxesByClass(chosen.cells));
  root.append(h("h3", {}, "Frames"), ...frameSizes(chosen.images));
  root.append(h("h3", {}, "Stain"), ...stainOf(chosen.images));
  if (data.sources.length) root.append(h("h3", {}, "Sources"), sourceTable(chosen));
});

/** The side of a square with the area of a cell's box, in pixels. */
const sideOf = (cell) => Math.sqrt(cells.width[cell] * cells.height[cell]);

/** The value that a share of the sorted numbers is below, between two of them by proportion. */
function quantile(sorted, share) {
  const at = (sorted.length - 1) * share;
  const below = Math.floor(at);
  return sorted[below] + (at - below) * ((sorted[below + 1] ?? sorted[below]) - sorted[below]);
}

function sortedBy(things, of) {
  return Float64Array.from(things, of).sort();
}

const median = (things, of) => quantile(sortedBy(things, of), 0.5);
const measure = (value) => number(Number(value.toFixed(value < 10 ? 1 : 0)));

function boxesByClass(chosenCells) {
  const points = new Set(data.sizes.points);
  const reasons = new Map(data.sizes.unusual);
  const boxes = chosenCells.filter((cell) => !points.has(cell) && sideOf(cell) > 0);
  const dots = chosenCells.length - boxes.length;
  const left = dots ? [quiet(`${counted(dots, "cell")} that ${dots === 1 ? "is a point has" : "are points have"} no size.`)] : [];
  if (!boxes.length) return [quiet("No box is left by the filters."), ...left];
  const sides = sortedBy(boxes, sideOf);
  const axis = { low: sides[0] / 1.1, high: sides[sides.length - 1] * 1.1 };
  const groups = data.classes.map(() => []);
  for (const cell of boxes) groups[cells.class[cell]].push(cell);
  const rows = data.classes.flatMap((each, place) => {
    const group = groups[place];
    if (!group.length) return [];
    const sorted = sortedBy(group, sideOf);
    const unusual = group.filter((cell) => reasons.has(cell));
    const usual = `${measure(median(group, (cell) => cells.width[cell]))} × ${measure(median(group, (cell) => cells.height[cell]))}`;
    const shown = [0.05, 0.5, 0.95].map((share) => measure(quantile(sorted, share)));
    return [{ name: each.name, colour: each.colour, cells: [stripOf(sorted, unusual, axis, each.colour), number(group.length), ...shown, usual, number(unusual.length)] }];
  });
  const columns = [{ title: stripAxis(axis), words: true }, "boxes", "5 %", "median", "95 %", "median box", "unusual"];
  return [
    table("Side of the boxes by class, in pixels", "class", columns, rows),
    quiet("The side is that of a square of the same area. A strip has a line from 5 % to 95 % of the boxes, a bar from 25 % to 75 %, a mark at the median, and a ring for each unusual box; it is logarithmic."),
    ...unusualBoxes(boxes.filter((cell) => reasons.has(cell)), reasons),
    ...left,
  ];
}

function unusualBoxes(found, reasons) {
  if (!found.length) return [quiet("No box is unusual: all sizes and shapes are within six robust standard deviations from the median of their class.")];
  const shown = data.frames ? new Set(data.frames.map((each) => each.image)) : new Set();
  const rows = found.slice(0, MOST_UNUSUAL).map((cell) => ({
    name: images.id[cells.image[cell]],
    text: shortName(images.id[cells.image[cell]]),
    href: shown.has(cells.image[cell]) ? address({ view: "frames", more: [images.id[cells.image[cell]]] }) : null,
    cells: [number(cells.id[cell]), classNameOf(cell), `${number(cells.width[cell])} × ${number(cells.height[cell])}`, reasons.get(cell)],
  }));
  return [
    table("Unusual boxes", "image", ["cell", { title: "class", words: true }, "box, px", { title: "measured", wide: true }], rows),
    quiet(`${found.length > rows.length ? `and ${number(found.length - rows.length)} more: filter. ` : ""}The rule is that of the finding unusual-box: more than six robust standard deviations from the median size or shape of the class. A border may have cut boxes that touch it, and classes with few boxes have no usual size: these are not judged. The median that a finding names is that of the judged boxes; the table above has the median of all boxes.`),
  ];
}

function classNameOf(cell) {
  const { name, colour } = data.classes[cells.class[cell]];
  return h("span", { class: "named" }, swatch(colour), h("span", { class: "cut" }, name));
}

const STRIP = 220;

function alongStrip(axis) {
  const length = Math.log(axis.high / axis.low);
  return (value) => 4 + ((STRIP - 8) * Math.log(Math.max(value, axis.low) / axis.low)) / length;
}

/** The distribution of sorted sides on a logarithmic axis. */
function stripOf(sorted, unusual, axis, colour) {
  const at = alongStrip(axis);
  const [low, lower, middle, upper, high] = [0.05, 0.25, 0.5, 0.75, 0.95].map((share) => at(quantile(sorted, share)));
  return svg(
    "svg",
    { viewBox: `0 0 ${STRIP} 18`, class: "strip", "aria-hidden": "true" },
    svg("line", { x1: low, x2: high, y1: 9, y2: 9, stroke: colour, "stroke-width": 2 }),
    svg("rect", { x: lower, width: Math.max(upper - lower, 1), y: 4, height: 10, fill: colour }),
    svg("line", { x1: middle, x2: middle, y1: 1, y2: 17, class: "middle" }),
    unusual.slice(0, 10 * MOST_UNUSUAL).map((cell) => svg("circle", { cx: at(sideOf(cell)), cy: 9, r: 3, class: "ring" })),
  );
}

/** The numbers over the strips: 10, 20, 50, 100, as far apart as they can be read. */
function stripAxis(axis) {
  const at = alongStrip(axis);
  const values = [];
  for (let power = -1; power < 6; power++) for (const each of [1, 2, 5]) values.push(each * 10 ** power);
  const shown = [];
  for (const value of values) {
    if (value < axis.low || value > axis.high || at(value) > STRIP - 12 || at(value) < 8) continue;
    if (!shown.length || at(value) - at(shown[shown.length - 1]) > 34) shown.push(value);
  }
  const marks = shown.map((value) => svg("text", { x: at(value), y: 12, "text-anchor": "middle" }, number(value)));
  return [h("span", { class: "unseen" }, "distribution"), svg("svg", { viewBox: `0 0 ${STRIP} 16`, class: "strip-axis", "aria-hidden": "true" }, marks)];
}

function frameSizes(chosenImages) {
  if (!chosenImages.length) return [quiet("No image is left by the filters.")];
  const counts = new Map();
  for (const image of chosenImages) {
    const size = `${number(images.width[image])} × ${number(images.height[image])}`;
    counts.set(size, (counts.get(size) || 0) + 1);
  }
  const sizes = [...counts].sort((one, other) => other[1] - one[1]);
  const rows = sizes.slice(0, MOST_FRAME_SIZES).map(([name, count]) => ({ name, cells: [barOf(count / sizes[0][1], number(count))] }));
  const more = sizes.length - rows.length;
  return [table("Sizes of the images, in pixels", "width × height", ["images"], rows), more ? quiet(`and ${counted(more, "more size")}: filter`) : null].filter(Boolean);
}

function sourceTable(chosen) {
  const people = (group) => number(patientsOf(group).size);
  const points = new Set(data.sizes.points);
  const groups = data.sources.map(() => ({ images: [], boxes: [], units: [] }));
  for (const image of chosen.images) groups[data.sourceOf[image]].images.push(image);
  for (const cell of chosen.cells) if (!points.has(cell)) groups[data.sourceOf[cells.image[cell]]].boxes.push(cell);
  for (const unit of unitsOf(chosen.images)) groups[data.sourceOf[unit.image]].units.push(unit);
  const rows = data.sources.flatMap((name, place) => {
    const group = groups[place];
    if (!group.images.length) return [];
    const size = `${measure(median(group.images, (image) => images.width[image]))} × ${measure(median(group.images, (image) => images.height[image]))}`;
    return [{ name, cells: [people(group.images), number(group.images.length), size, group.boxes.length ? measure(median(group.boxes, sideOf)) : "–", typical(group.units, "background"), typical(group.units, "nuclei")] }];
  });
  const columns = ["patients", "images", "median image, px", "median side of boxes, px", { title: "background: L*, a*, b*", words: true }, { title: "nuclei: L*, a*, b*", words: true }];
  return table("Size and stain by source", "source", columns, rows);
}
