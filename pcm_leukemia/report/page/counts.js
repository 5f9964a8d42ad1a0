// Images, patients and cells by part; cells by class; diagnoses: the paper's Tables 2 and 3 and its Figure 6.

view("counts", "Counts", (root, chosen) => {
  const parts = data.parts.flatMap((part, number) => (chosen.images.some((image) => images.part[image] === number) ? [number] : []));
  const columns = parts.map((part) => data.parts[part].name);
  if (parts.length > 1) columns.push(data.parts.some((part) => part.name === "overall") ? "all parts" : "overall");
  const spread = (partOf, things) => {
    const found = parts.map((part) => things.filter((thing) => partOf(thing) === part));
    return parts.length > 1 ? [...found, things] : found;
  };
  const imagesBy = spread((image) => images.part[image], chosen.images);
  const cellsBy = spread((cell) => images.part[cells.image[cell]], chosen.cells);
  const people = imagesBy.map((group) => patientsOf(group).size);
  const above = [
    ...(knownPatients() ? [{ name: "patients", cells: people.map(number) }] : []),
    { name: "images", cells: imagesBy.map((group) => number(group.length)) },
    { name: "images without cells", cells: imagesBy.map((group) => number(group.filter((image) => !images.cells[image]).length)) },
  ];
  const tally = (group, count, of) => group.reduce((counts, thing) => (counts[of(thing)]++, counts), Array(count).fill(0));
  const ofClass = data.classes.map((each, number) => ({ name: each.name, colour: each.colour, href: address({ chosen: { class: [number] } }) }));
  root.append(countTable("Cells by class", "class", columns, ofClass, cellsBy.map((group) => tally(group, data.classes.length, (cell) => cells.class[cell])), { above, total: "cells" }));
  root.append(quiet("A bar is the share of its column; hover over it to read the share. A class filters the page."));
  if (data.diagnoses.length < 2) return;
  const known = knownPatients();
  const units = (group) => (known ? [...new Map(group.map((image) => [images.patient[image], image])).values()] : group);
  const ofDiagnosis = data.diagnoses.map((each, number) => ({ name: each.name, href: address({ chosen: { diagnosis: [number] } }) }));
  root.append(countTable(`${known ? "Patients" : "Images"} by diagnosis`, "diagnosis", columns, ofDiagnosis, imagesBy.map((group) => tally(units(group), data.diagnoses.length, (image) => images.diagnosis[image])), { total: known ? "patients" : "images" }));
  const byClass = data.diagnoses.map((_, diagnosis) => tally(chosen.cells.filter((cell) => images.diagnosis[cells.image[cell]] === diagnosis), data.classes.length, (cell) => cells.class[cell]));
  root.append(countTable("Cells by class and diagnosis", "class", data.diagnoses.map((each) => each.name), ofClass, byClass, { total: "cells" }));
});
