// A strip for each patient: images, cells, mix of classes, part and diagnosis. The address has the order: #patients/images.

const MOST_PATIENTS = 200;

view("patients", "Patients", (root, chosen, more) => {
  const strips = stripsOf(chosen);
  const known = strips.filter((strip) => !data.patients[strip.patient].unknown);
  const [order, label] = orderOf(more);
  const counts = tallyOf(chosen.cells, data.classes.length, (cell) => cells.class[cell]);
  if (!data.patients.some((patient) => !patient.unknown)) {
    const options = ["--patients", "--patients-csv", "--patients-tag", "--patients-attribute"].map((option) => h("code", { class: "named" }, option));
    root.append(note("No image has a patient, so no split can keep patients apart. Give patients to ", h("code", {}, "pcm-leukemia import"), " by ", options[0], ", ", options[1], ", ", options[2], " or ", options[3], "."));
  }
  if (!strips.length) return root.append(quiet("No image is left by the filters."));
  root.append(...sortButtons(order, label, counts, known.length > 1));
  known.sort(ORDERS[order](label));
  const shown = known.slice(0, MOST_PATIENTS);
  const columns = [{ title: "mix of classes", words: true }, ...(order === "class" ? [data.classes[label].name] : []), "images", "cells", { title: "part", words: true }, { title: "diagnosis", words: true }];
  const rows = [...shown, ...strips.filter((strip) => data.patients[strip.patient].unknown)].map((strip) => stripRow(strip, order === "class" ? label : null));
  root.append(table("Each patient", "patient", columns, rows));
  if (known.length > shown.length) root.append(quiet(`and ${number(known.length - shown.length)} more: filter or sort`));
  root.append(quiet("A bar is a patient's cells by class; hover over a segment to read its count. A patient's name filters the page."));
  const empty = data.patients.filter((patient) => !patient.unknown).length - patientsOf(images.id.map((_, image) => image)).size;
  if (empty) root.append(quiet(`${counted(empty, "patient")} in the data without images ${empty === 1 ? "is" : "are"} not shown.`));
});

/** The chosen images and cells of each patient: {patient, images, cells, counts, parts, diagnoses}, by id. */
function stripsOf(chosen) {
  const found = new Map();
  for (const image of chosen.images) {
    const patient = images.patient[image];
    if (!found.has(patient)) found.set(patient, { patient, images: 0, cells: 0, counts: Array(data.classes.length).fill(0), parts: new Set(), diagnoses: new Set() });
    const strip = found.get(patient);
    strip.images++;
    strip.parts.add(images.part[image]);
    strip.diagnoses.add(images.diagnosis[image]);
  }
  for (const cell of chosen.cells) {
    const strip = found.get(images.patient[cells.image[cell]]);
    strip.cells++;
    strip.counts[cells.class[cell]]++;
  }
  return [...found.values()].sort(byId);
}

function tallyOf(things, count, of) {
  const counts = Array(count).fill(0);
  for (const thing of things) counts[of(thing)]++;
  return counts;
}

const byId = (one, other) => one.patient - other.patient;
const largestFirst = (of) => (one, other) => of(other) - of(one) || byId(one, other);
const smallestFirst = (of) => (one, other) => of(one) - of(other) || byId(one, other);
const shareOf = (strip, label) => strip.counts[label] / (strip.cells || 1);

const ORDERS = {
  id: () => byId,
  images: () => largestFirst((strip) => strip.images),
  cells: () => largestFirst((strip) => strip.cells),
  part: () => smallestFirst((strip) => Math.min(...strip.parts)),
  diagnosis: () => smallestFirst((strip) => Math.min(...strip.diagnoses)),
  class: (label) => largestFirst((strip) => shareOf(strip, label)),
};

/** What the address asks for: an order, and the class whose share it goes by. */
function orderOf([order, name]) {
  const label = data.classes.findIndex((each) => each.name === name);
  if (order === "class") return label < 0 ? ["id", null] : ["class", label];
  return [Object.hasOwn(ORDERS, order || "") ? order : "id", null];
}

/** Buttons for the order; those of the classes are the legend of the bars, with counts. */
function sortButtons(order, label, counts, several) {
  const button = (id, pressed, more, ...name) => h("button", { type: "button", id, "aria-pressed": String(pressed), onclick: () => go({ view: "patients", more }) }, name);
  const plain = ["id", "images", "cells", ...(data.parts.length > 1 ? ["part"] : []), ...(data.diagnoses.length > 1 ? ["diagnosis"] : [])];
  const classes = data.classes.map((each, place) =>
    button(`sort-class-${place}`, place === label, ["class", each.name], swatch(each.colour), h("span", { class: "cut" }, each.name), " ", h("span", { class: "quiet" }, number(counts[place]))),
  );
  return [
    several && h("div", { class: "orders", role: "group", "aria-label": "Sort by" }, h("span", { "aria-hidden": "true" }, "Sort by "), plain.map((name) => button(`sort-${name}`, name === order, [name], name))),
    h("div", { class: "orders of-classes", role: "group", "aria-label": "Sort by the share of a class" }, h("span", { "aria-hidden": "true" }, several ? "or share of " : "Share of "), classes),
  ].filter(Boolean);
}

function stripRow(strip, label) {
  const patient = data.patients[strip.patient];
  const parts = [...strip.parts].sort((one, other) => one - other);
  const diagnoses = [...strip.diagnoses].sort((one, other) => one - other);
  return {
    name: patient.unknown ? "images without a patient" : patient.name,
    href: shownFacets.includes("patient") ? address({ chosen: { patient: [strip.patient] } }) : null,
    cells: [
      strip.cells ? stackedBar(data.classes.map((each, place) => ({ ...each, count: strip.counts[place] }))) : h("span", { class: "quiet" }, "no cells"),
      ...(label === null ? [] : [percent(shareOf(strip, label))]),
      number(strip.images),
      number(strip.cells),
      parts.map((part) => h("span", { class: "named" }, swatch(data.parts[part].colour), data.parts[part].name, " ")),
      diagnoses.map((each) => data.diagnoses[each].name).join(", "),
    ],
  };
}
