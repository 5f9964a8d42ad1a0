// The stain of each patient: colours of the background and of the cells in CIE L*a*b*, outliers marked.

const MOST_UNLIKE = 50;
const MOST_LABELS = 12;
const LABEL = { width: 200, height: 14 };

/** Marks of the sources, within a radius of 1. */
const MARKS = ["M-1,0A1,1 0 1 1 1,0A1,1 0 1 1 -1,0Z", "M-.9,-.9H.9V.9H-.9Z", "M0,-1.1L1.1,.9H-1.1Z", "M0,-1.2L1.2,0L0,1.2L-1.2,0Z", "M-1.1,-.9H1.1L0,1.1Z", "M-.4,-1.1H.4V-.4H1.1V.4H.4V1.1H-.4V.4H-1.1V-.4H-.4Z"];

function markOf(unit) {
  return MARKS[(data.sources.length ? data.sourceOf[unit.image] : 0) % MARKS.length];
}

/** The patients, and images without one, that have an image among these and were measured. */
function unitsOf(chosenImages) {
  const people = patientsOf(chosenImages);
  const there = new Set(chosenImages);
  return data.stain.units.filter((unit) => (unit.patient === null ? there.has(unit.image) : people.has(unit.patient)));
}

const nameOf = (unit) => (unit.patient === null ? images.id[unit.image] : data.patients[unit.patient].name);
const labText = (lab) => lab.map((value) => String(Math.round(value) || 0).replace("-", "−")).join(", ");

function stainOf(chosenImages) {
  const units = data.stain.units;
  if (!units.length) return [quiet("The stain was not measured, since no image file could be read.")];
  const shown = unitsOf(chosenImages);
  const alone = units.filter((unit) => unit.patient === null).length;
  const one = alone === units.length ? "an image, in its own colour" : `a patient${alone ? ", or an image without one" : ""}, in its own colour: the mean of up to three images`;
  const measured = units.reduce((sum, unit) => sum + unit.images, 0);
  const of = data.sources.length ? `the median of its source; a source with fewer than ${data.stain.fewest} is not judged` : `the median of all; fewer than ${data.stain.fewest} are not judged`;
  const head = quiet(
    `${number(measured)} of ${counted(images.id.length, "image")} were measured. A dot is ${one}. The background is the brightest tenth of an image. The nuclei are the darkest twentieth of the pixels in its boxes; where only red cells have boxes, they are the darkest red cells. A filter hides dots and does not change their colours.`,
  );
  if (!shown.length) return [head, quiet("No dot is left by the filters.")];
  const plots = h("div", { class: "plots" }, stainPlot("Background", "background", shown), stainPlot("Nuclei", "nuclei", shown));
  const rule = quiet(`L* is lightness, a* runs from green to red and b* from blue to yellow (CIE 1976). A ring marks what is unlike the others: L*, a* or b* is more than ${data.stain.unlike} robust standard deviations from ${of} (modified z-score of Iglewicz and Hoaglin, 1993).`);
  return [head, data.sources.length ? legendOfSources() : null, plots, rule, ...unlikeOthers(shown)].filter(Boolean);
}

function legendOfSources() {
  const items = data.sources.map((name, place) => h("li", {}, svg("svg", { viewBox: "-2 -2 4 4", class: "mark", "aria-hidden": "true" }, svg("path", { d: MARKS[place % MARKS.length] })), h("span", {}, name)));
  return h("ul", { class: "legend", "aria-label": "Marks of the sources" }, items);
}

/** Lightness against the tint from blue to yellow. */
function stainPlot(title, where, shown) {
  const units = shown.filter((unit) => unit[where]);
  if (!units.length) return null;
  const range = (place) => {
    const values = units.map((unit) => unit[where].lab[place]);
    const [low, high] = [Math.min(...values), Math.max(...values)];
    const around = Math.max((high - low) * 0.08, (10 - (high - low)) / 2); // ten units at least, or noise would look large
    return { low: low - around, high: high + around };
  };
  const unlike = units.filter((unit) => isUnlike(unit, where)).sort((one, other) => furthestOf(other) - furthestOf(one));
  const marks = (x, y) => {
    const placed = units.map((unit) => ({ unit, left: x(unit[where].lab[2]), top: y(unit[where].lab[0]) }));
    return [placed.map((each) => dotOf(each, where)), labelsOf(placed.filter((each) => unlike.includes(each.unit)))];
  };
  const said = `${title}: lightness against tint of ${counted(units.length, "dot")}; ${number(unlike.length)} unlike the others`;
  const axes = { x: { label: "b*: bluer on the left, yellower on the right", ...range(2) }, y: { label: "L*: lighter above", ...range(0) } };
  return h("figure", { class: "half" }, h("figcaption", {}, title), plot({ ...axes, said, marks }));
}

function dotOf({ unit, left, top }, where) {
  return svg(
    "g",
    {},
    svg("title", {}, `${nameOf(unit)}: ${labText(unit[where].lab)}`),
    svg("path", { d: markOf(unit), transform: `translate(${left} ${top}) scale(6)`, fill: unit[where].rgb, class: "dot" }),
    isUnlike(unit, where) ? svg("circle", { cx: left, cy: top, r: 11, class: "ring" }) : null,
  );
}

/** The names of some dots, those that are far apart. */
function labelsOf(dots) {
  const shown = [];
  for (const each of dots) {
    const near = (other) => Math.abs(other.top - each.top) < LABEL.height && Math.abs(other.left - each.left) < LABEL.width;
    if (shown.length < MOST_LABELS && !shown.some(near)) shown.push(each);
  }
  return shown.map(({ unit, left, top }) => svg("text", { x: left + (left > 320 ? -14 : 14), y: top + 4, "text-anchor": left > 320 ? "end" : "start" }, shortName(nameOf(unit))));
}

const isUnlike = (unit, where) => where in unit.unlike;

/** The largest distance from the median, in deviations; 0 if nothing is unlike the others. */
const furthestOf = (unit) => Math.max(0, ...Object.values(unit.unlike).map(([, deviations]) => deviations));

function unlikeOthers(shown) {
  const found = shown.filter(furthestOf).sort((one, other) => furthestOf(other) - furthestOf(one));
  if (!found.length) return [quiet("None is unlike the others.")];
  const rows = found.slice(0, MOST_UNLIKE).map((unit) => ({
    name: nameOf(unit),
    text: shortName(nameOf(unit)),
    href: unit.patient === null ? frameAddress(unit.image) : shownFacets.includes("patient") ? address({ chosen: { patient: [unit.patient] } }) : null,
    cells: [...(data.sources.length ? [data.sources[data.sourceOf[unit.image]]] : []), reasonsOf(unit), coloured(unit.background), coloured(unit.nuclei)],
  }));
  const columns = [...(data.sources.length ? [{ title: "source", words: true }] : []), { title: "unlike, in deviations", wide: true }, { title: "background: L*, a*, b*", words: true }, { title: "nuclei: L*, a*, b*", words: true }];
  const more = found.length - rows.length;
  return [table("Unlike the others", found.some((unit) => unit.patient === null) ? "patient or image" : "patient", columns, rows), more ? quiet(`and ${number(more)} more: filter`) : null].filter(Boolean);
}

/** "b* of the nuclei by 5.3" */
function reasonsOf(unit) {
  const byDistance = Object.entries(unit.unlike).sort(([, one], [, other]) => other[1] - one[1]);
  return byDistance.map(([where, [axis, deviations]]) => `${axis} of the ${where} by ${deviations.toFixed(1)}`).join(", ");
}

function frameAddress(image) {
  return data.frames?.some((each) => each.image === image) ? address({ view: "frames", more: [images.id[image]] }) : null;
}

function coloured(colour) {
  return colour ? h("span", { class: "named" }, swatch(colour.rgb), labText(colour.lab)) : "–";
}

/** The median colour of units, with the colour of the one that is nearest to it as its swatch. */
function typical(units, where) {
  const there = units.filter((unit) => unit[where]);
  if (!there.length) return "–";
  const middle = [0, 1, 2].map((place) => median(there, (unit) => unit[where].lab[place]));
  const distance = (unit) => Math.hypot(...unit[where].lab.map((value, place) => value - middle[place]));
  const nearest = there.reduce((best, unit) => (distance(unit) < distance(best) ? unit : best));
  return coloured({ rgb: nearest[where].rgb, lab: middle });
}
