// What a check found: counts by kind, and each finding with its place, its fix and, for a sample, its pictures.

/** At most this many findings are listed; each kind gets an equal share. */
const MOST_FINDINGS = 200;
/** At most this many images of a finding are linked. */
const MOST_LINKS = 8;

view("findings", "Findings", (root) => {
  root.append(...warningsOfReading());
  if (!data.check) {
    root.append(note("This page was written without a check: ", h("code", {}, "pcm-leukemia report DATA OUT.html"), " checks the data, too."));
    return;
  }
  const { lookedAt, notes, nothing } = data.check;
  const found = findingsShown();
  root.append(quiet(`Looked at ${lookedAt.map(([what, count]) => `${number(count)} ${count === 1 ? what.replace(/s$/, "") : what}`).join(", ")}. ${saidOfFindings(found)}`));
  const groups = data.check.groups.map((group, place) => ({ ...group, found: found.filter((each) => each.group === place) })).filter((group) => group.found.length);
  if (groups.length) root.append(kindsTable(groups));
  if (notes.length) root.append(h("h3", {}, "What was not checked"), h("ul", {}, notes.map((each) => h("li", {}, each))));
  const drawn = data.check.findings.filter((each) => each.tiles).length;
  if (drawn < data.check.drawable) {
    root.append(quiet(`${number(drawn)} of ${counted(data.check.drawable, "finding")} that a picture helps to judge have one here: `, h("code", {}, "pcm-leukemia check DATA --pictures DIR"), " draws all."));
  }
  const share = Math.max(10, Math.floor(MOST_FINDINGS / (groups.length || 1)));
  root.append(...groups.flatMap((group) => (group.kind === "paper" ? [] : findingsOfGroup(group, share))));
  if (nothing.length) root.append(h("h3", {}, "Looked for and not found"), h("ul", {}, nothing.map(({ kind, meaning }) => h("li", {}, h("b", {}, kind), `: ${meaning}`))));
  if (data.check.paper) root.append(h("h3", {}, "Counts here and in the paper"), besidePaper(data.check.paper));
});

/** What the reader of the data left out or changed: no check sees it. */
function warningsOfReading() {
  const { warned } = data;
  if (!warned.length) return [];
  const lines = warned.map((each) => h("li", {}, each));
  return [h("h3", {}, `Reading the data: ${counted(warned.length, "warning")}`), quiet("What a warning says was left out is in no count of this page."), h("ul", {}, lines)];
}

/** The findings of the chosen kinds of which any image (and, if it names cells, any cell) passes the other facets. */
function findingsShown() {
  const kinds = new Set([...(state.chosen.finding || [])].map((option) => data.findings[option].name));
  const passing = choose(state.chosen, "finding");
  const whole = passing.images.length === images.id.length && passing.cells.length === cells.class.length;
  const [imagePasses, cellPasses] = [new Set(passing.images), new Set(passing.cells)];
  return data.check.findings.filter((each) => {
    if (kinds.size && !kinds.has(data.check.groups[each.group].kind)) return false;
    return whole || (each.cells.length ? someInRuns(each.cells, cellPasses) : someInRuns(each.images, imagePasses));
  });
}

/** Whether any number of the runs (start, length, start, length, ...) is in a set. */
function someInRuns(runs, set) {
  for (let at = 0; at < runs.length; at += 2) for (let each = runs[at]; each < runs[at] + runs[at + 1]; each++) if (set.has(each)) return true;
  return false;
}

/** The first numbers of the runs. */
function firstOfRuns(runs, most) {
  const found = [];
  for (let at = 0; at < runs.length; at += 2) for (let each = runs[at]; each < runs[at] + runs[at + 1] && found.length < most; each++) found.push(each);
  return found;
}

function lengthOfRuns(runs) {
  return runs.reduce((sum, length, place) => sum + (place % 2 ? length : 0), 0);
}

function saidOfFindings(found) {
  const all = data.check.findings;
  if (!all.length) return "No check found anything.";
  const severe = found.filter((each) => data.check.groups[each.group].severity === "problem").length;
  const counts = `${counted(severe, "problem")} (scores or boxes can be wrong), ${counted(found.length - severe, "warning")} (to be looked at)`;
  return found.length === all.length ? `Found: ${counts}.` : `Found among what is chosen: ${counts}; in all, ${counted(all.length, "finding")}.`;
}

function kindsTable(groups) {
  const rows = groups.map(({ kind, severity, found }) => {
    const place = data.findings.findIndex((option) => option.name === kind);
    const concerned = new Set(found.flatMap((each) => firstOfRuns(each.images, Infinity)));
    return { name: kind, href: address({ chosen: { finding: [place] } }), cells: [severity, number(found.length), concerned.size ? number(concerned.size) : "–"] };
  });
  return table("Findings by kind", "kind", [{ title: "severity", words: true }, "findings", "images"], rows);
}

function findingsOfGroup({ kind, severity, meaning, found }, most) {
  const told = found.filter((each) => each.what);
  const listed = [...told.filter((each) => each.tiles), ...told.filter((each) => !each.tiles)].slice(0, most);
  const rest = found.length - listed.length;
  const narrower = link({ chosen: { finding: [data.findings.findIndex((option) => option.name === kind)] } }, "choose this kind alone");
  return [
    h("h3", {}, `${kind}: ${meaning}`),
    h("ul", { class: "findings" }, listed.map((each) => findingShown(each, severity))),
    ...(rest ? [quiet(`and ${counted(rest, "more finding", "more findings")} of this kind: `, narrower, ", filter, or run ", h("code", {}, "pcm-leukemia check DATA"), ", which lists all.")] : []),
  ];
}

function findingShown(finding, severity) {
  const tiles = finding.tiles || [];
  const pictured = new Set(tiles.map((each) => each.image));
  const others = firstOfRuns(finding.images, MOST_LINKS + pictured.size).filter((image) => !pictured.has(image)).slice(0, MOST_LINKS);
  const rest = lengthOfRuns(finding.images) - pictured.size - others.length;
  return h(
    "li",
    { class: `finding ${severity}` },
    h("p", {}, h("b", {}, severity === "problem" ? "Problem" : "Warning"), " – ", h("b", { class: "where" }, finding.where), ": ", h("span", {}, finding.what)),
    h("p", {}, "Fix: ", h("span", {}, data.check.fixes[finding.fix])),
    tiles.length ? h("div", { class: "finding-tiles" }, tiles.map(findingTile)) : null,
    others.length ? h("ul", { class: "concerned", "aria-label": "Images" }, others.map((image) => h("li", {}, imageLink(image, images.id[image]))), rest ? h("li", {}, `and ${number(rest)} more`) : null) : null,
  );
}

/** Leads to the frame if the page has it, else to the patient. */
function imageLink(image, ...shown) {
  if (framed.has(image)) return link({ view: "frames", more: [images.id[image]] }, ...shown);
  const patient = images.patient[image];
  if (!shownFacets.includes("patient") || data.patients[patient].unknown) return h("span", {}, ...shown);
  return h("a", { href: address({ chosen: { patient: [patient] } }), title: `Filter: patient ${data.patients[patient].name}` }, ...shown);
}

/** A picture of an image or cell. The first line of its caption is the image; the others explain the boxes. */
function findingTile({ picture: drawn, image, caption }) {
  const lines = caption.map(([text, colour, dashed], place) => h("span", { class: "line" }, colour ? strokeOf(colour, dashed) : null, place ? text : imageLink(image, text)));
  return h("figure", {}, picture(drawn, caption.map(([text]) => text).join(", ")), h("figcaption", {}, lines));
}

/** The counts of Tables 2 and 3, here and in the paper. */
function besidePaper({ columns, rows, differences }) {
  const written = (count) => (count === null ? "–" : number(count));
  const body = rows.map(({ name, cells: counts }) => ({ name, cells: counts.map(([here, paper, differs]) => `${written(here)} / ${written(paper)}${differs ? " differs" : ""}`) }));
  return table(`Here / in the paper: ${counted(differences, "count differs", "counts differ")}`, "", columns, body);
}
