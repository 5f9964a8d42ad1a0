// How the split was made, how even it is, and what is wrong with it: always the whole split.

view("split", "Split", (root) => {
  const split = data.split;
  if (!split) {
    root.append(quiet("These data have no split. Make one that keeps the images of each patient in one part: ", h("code", { class: "named" }, "pcm-leukemia split DATA"), ", or ", h("code", {}, "splits.by_patient"), " in Python."));
    return;
  }
  root.append(quiet(`The split is called “${split.name}”. This view shows all of it: filters do not change the numbers.`));
  root.append(...warningsOfSplit(split));
  if (split.parts.length) root.append(partsTable(split), ...shareOfVal(split), ...classesByPart(split));
  if (split.made.length) root.append(table("How it was made", "recorded", [{ title: "value", words: true }], split.made.map(([name, value]) => ({ name, cells: [value] }))));
  else root.append(quiet("The split does not record how it was made."));
});

function warningsOfSplit(split) {
  const said = split.leaks.map((leak) => note(leak));
  if (split.leaking > split.leaks.length) said.push(note(`and ${counted(split.leaking - split.leaks.length, "more patient or group", "more patients or groups")} in two parts`));
  if (split.copies) said.push(note(`${counted(split.copies, "file")} ${split.copies === 1 ? "is" : "are"} in two parts under different names: see the findings.`));
  for (const each of split.missing) {
    const people = each.patients ? ` (${counted(each.patients, "patient")} in all parts ${each.patients === 1 ? "has" : "have"} it)` : "";
    said.push(note(`No ${each.class} in ${each.parts.join(", ")}${people}: such a part gives no score for the class.`));
  }
  if (split.shared) said.push(note("Training and validation may share patients: only the test part shows how well a model does on new patients."));
  if (split.unknown) said.push(note(`${counted(split.unknown, "image")} without a patient: whether parts share such patients is not known.`));
  return said;
}

function partsTable(split) {
  const asked = split.parts.some((part) => part.asked !== null);
  const known = data.patients.some((patient) => !patient.unknown);
  const columns = [...(known ? ["patients"] : []), "images", "share of the images", ...(asked ? ["asked for"] : []), "cells"];
  const rows = split.parts.map((part, place) => ({
    name: data.parts[place].name,
    colour: data.parts[place].colour,
    href: shownFacets.includes("part") ? address({ view: "counts", chosen: { part: [place] } }) : null,
    cells: [
      ...(known ? [number(part.patients)] : []),
      number(part.images),
      percent(part.reached),
      ...(asked ? [part.asked === null ? "–" : percent(part.asked)] : []),
      number(part.cells.reduce((sum, count) => sum + count, 0)),
    ],
  }));
  return table("Parts", "part", columns, rows);
}

/** The share of val is asked for and recorded of what the test part leaves; the table has it of all images. */
function shareOfVal(split) {
  const recorded = split.made.find(([name]) => name === "val")?.[1];
  const asked = split.parts.find((part, place) => data.parts[place].name === "val")?.asked;
  if (!recorded || !asked || Math.abs(Number(recorded) - asked) < 0.0005) return [];
  return [quiet(`Val was asked for as ${percent(Number(recorded))} of the images that the test part leaves, which is ${percent(asked)} of all images.`)];
}

/** Two tables: where the cells of each class are, and what the cells of each part are. */
function classesByPart(split) {
  const parts = split.parts.map((_, place) => data.parts[place]);
  const points = (share) => (100 * share).toFixed(1);
  const furthest = (off) => {
    const most = off.indexOf(Math.max(...off));
    return off[most] < 0.0005 ? "0.0" : `${points(off[most])} in ${parts[most].name}`;
  };
  const classes = data.classes.flatMap((each, place) => {
    const counts = split.parts.map((part) => part.cells[place] || 0);
    const total = counts.reduce((sum, count) => sum + count, 0);
    return total ? [{ ...each, place, counts, total }] : [];
  });
  if (!classes.length) return [];
  const columns = [{ title: "parts", words: true }, ...parts.map((part) => part.name), { title: "largest distance, in percentage points", wide: true }];
  const barOfParts = (counts) => stackedBar(parts.map((part, place) => ({ ...part, count: counts[place] })));
  const images = split.parts.map((part) => part.images);
  const asked = split.parts.every((part) => part.asked !== null);
  const whole = { name: "images", cells: [barOfParts(images), ...split.parts.map((part) => percent(part.reached)), asked ? furthest(split.parts.map((part) => Math.abs(part.reached - part.asked))) : ""] };
  const where = classes.map((each) => {
    const judged = each.place < split.parts[0].off.length;
    return { name: each.name, colour: each.colour, cells: [barOfParts(each.counts), ...each.counts.map((count) => percent(count / each.total)), judged ? furthest(split.parts.map((part) => part.off[each.place])) : "not judged"] };
  });
  const cellsOf = split.parts.map((part) => part.cells.reduce((sum, count) => sum + count, 0));
  const all = cellsOf.reduce((sum, count) => sum + count, 0);
  const mix = classes.map((each) => {
    const shares = each.counts.map((count, place) => count / (cellsOf[place] || 1));
    const off = shares.map((share, place) => (cellsOf[place] ? Math.abs(share - each.total / all) : 0));
    return { name: each.name, colour: each.colour, cells: [...shares.map((share) => percent(share)), percent(each.total / all), furthest(off)] };
  });
  return [
    table("Where the cells of each class are", "class", columns, [whole, ...where]),
    quiet(`In an even split, each part has the same share of every class as of the images. The distance is that from the share ${asked ? "asked for" : "of the images"}.`),
    table("Mix of classes in each part", "class", [...parts.map((part) => part.name), data.parts.some((part) => part.name === "overall") ? "all parts" : "overall", { title: "largest distance, in percentage points", wide: true }], mix),
    quiet("In an even split, each class has the same share of the cells in every part. The distance is that from its share in all parts."),
  ];
}
