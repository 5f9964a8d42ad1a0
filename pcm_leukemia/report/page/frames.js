// Annotated frames, one at a time. #frames/IMAGE shows an image, and #frames/IMAGE/CELL marks one of its cells.

/** How the frame is shown; this is not in the address, so that it stays when another frame is shown. */
const framesShown = { boxes: true, found: true, enlarged: false };

/** The most cells in the list below a frame; frames with more cells have no tags. */
const MOST_CELLS = 300;
/** The width of a frame on the screen, and of a letter and a line of a tag, in pixels: to find places of tags that hide little. */
const FRAME_WIDTH = 900, LETTER = 6.5, TAG_HEIGHT = 17;

view("frames", "Frames", (root, chosen, more) => {
  if (!data.frames.length) {
    root.append(quiet("There are no frames: the data set has no image files."));
    return;
  }
  const passing = new Set(chosen.images);
  const frames = data.frames.filter((frame) => passing.has(frame.image));
  const [asked, cell] = more;
  const place = frames.findIndex((frame) => images.id[frame.image] === asked);
  const known = data.frames.some((frame) => images.id[frame.image] === asked);
  if (asked && place < 0) root.append(note(known ? `${asked} does not pass the filters.` : `${asked} is not among the ${counted(data.frames.length, "frame")} on the page.`));
  if (!frames.length) {
    root.append(quiet(`None of the ${counted(data.frames.length, "frame")} on the page passes the filters.`));
    return;
  }
  const at = Math.max(place, 0);
  root.append(framesBar(frames, at), frameOf(frames[at], new Set(chosen.cells), cell), ...underFrame(frames[at], new Set(chosen.cells), cell));
});

function goToFrame(frame) {
  if (frame) go({ view: "frames", more: [images.id[frame.image]] });
}

/** Buttons and a list to step through the frames, and how they are shown. */
function framesBar(frames, at) {
  const step = (id, by, name) => {
    const target = frames[at + by];
    return h("button", { type: "button", id, "aria-disabled": target ? null : "true", onclick: () => goToFrame(target) }, name);
  };
  const options = frames.map((frame, number) => h("option", { value: number, selected: number === at }, images.id[frame.image]));
  const jump = h("select", { id: "frame-choice", "aria-label": "Frame", onchange: () => goToFrame(frames[jump.value]) }, options);
  const toggle = (id, name, key) => h("label", {}, h("input", { type: "checkbox", id, checked: framesShown[key], onchange: (event) => ((framesShown[key] = event.target.checked), draw()) }), ` ${name}`);
  const over = [data.parts.length > 1 ? "parts" : null, knownPatients() ? "patients" : null, "classes"].filter(Boolean);
  const evenly = `drawn evenly over ${over.join(", ").replace(/, (?=[^,]*$)/, " and ")}`;
  const drawn = data.frames.length < images.id.length ? `; the page has ${number(data.frames.length)} of ${counted(images.id.length, "image")}, ${data.framesAre || evenly}` : "";
  return h(
    "div",
    {},
    h("div", { class: "frames-bar" }, step("frame-before", -1, "← Previous"), step("frame-after", 1, "Next →"), jump, toggle("frame-boxes", "Boxes", "boxes"), data.found ? toggle("frame-found", "Found boxes", "found") : null, toggle("frame-enlarged", "Enlarge", "enlarged")),
    quiet(h("strong", {}, `${number(at + 1)} of ${number(frames.length)}`), drawn, "."),
  );
}

addEventListener("keydown", (event) => {
  const by = { ArrowLeft: "frame-before", ArrowRight: "frame-after" }[event.key];
  if (!by || state.view !== "frames" || event.altKey || event.ctrlKey || event.metaKey || event.shiftKey) return;
  if (event.target.closest("input, select, textarea, summary, [role=region]")) return;
  document.getElementById(by)?.click();
});

/** The picture of a frame with the outlines of its cells. Those that pass the filters are in the colour of their class. */
function frameOf(frame, passing, marked) {
  const image = frame.image;
  const width = images.width[image], height = images.height[image];
  const shown = picture(frame.picture, `${images.id[image]} with ${counted(frame.boxes.length, "cell")}`);
  const all = frame.boxes.map((box, place) => ({ box, outline: frame.outlines[place], cell: first[image] + place }));
  const strong = (each) => passing.has(each.cell);
  const drawn = [...all.filter((each) => !strong(each)), ...all.filter(strong)];
  const overlay = svg(
    "svg",
    { viewBox: `0 0 ${width} ${height}`, "aria-hidden": "true", class: "outlines" },
    drawn.map((each) => outlineOf(each, strong(each), String(cells.id[each.cell]) === marked)),
  );
  const tags = all.length > MOST_CELLS ? [] : tagsOf(all, strong, width, height);
  const found = data.found && framesShown.found ? foundBoxes(image) : []; // by the script of a run
  const layers = [...(framesShown.boxes ? [overlay, ...tags] : []), ...found];
  const inside = h("div", { class: "frame", style: { "--wide": width, "--high": height } }, shown, layers);
  const region = framesShown.enlarged ? { tabindex: "0", role: "region", "aria-label": "Enlarged frame" } : {};
  return h("div", { class: framesShown.enlarged ? "frame-room enlarged" : "frame-room", id: "frame-room", ...region }, inside);
}

/** A box, an outline or a point, cased in white; a click marks the cell. */
function outlineOf({ box, outline, cell }, strong, marked) {
  const points = outline || [[box[0], box[1]], [box[0] + box[2], box[1]], [box[0] + box[2], box[1] + box[3]], [box[0], box[1] + box[3]]];
  const path = points.length === 1 ? `M${points[0]}h0` : `M${points.join("L")}Z`;
  const kind = `outline${strong ? "" : " weak"}${marked ? " marked" : ""}${points.length === 1 ? " point" : ""}`;
  const image = images.id[cells.image[cell]];
  return svg(
    "g",
    { class: kind, "data-cell": cells.id[cell], onclick: () => go({ view: "frames", more: [image, String(cells.id[cell])] }) },
    svg("path", { d: path, class: "casing" }),
    svg("path", { d: path, class: "line", style: strong ? { stroke: data.classes[cells.class[cell]].colour } : {} }),
    svg("title", {}, cellName(cell)),
  );
}

/** The tags of cells: the cell's number and class, where they hide the least of other tags and cells. */
function tagsOf(all, strong, width, height) {
  const scale = FRAME_WIDTH / width;
  const sides = all.map(({ box: [x, y, w, h] }) => [x, y, x + w, y + h].map((side) => side * scale));
  const taken = [];
  return all.map((each, place) => {
    if (!strong(each)) return null;
    const { cell } = each;
    const { name, colour, text } = data.classes[cells.class[cell]];
    const [x1, y1, x2, y2] = sides[place];
    const wide = LETTER * (name.length + String(cells.id[cell]).length + 1) + 8;
    const choices = [["left", "above"], ["left", "below"], ["right", "above"], ["right", "below"], ["left", "inside"]].map(([across, along]) => {
      const left = across === "left" ? x1 : x2 - wide;
      const top = { above: y1 - TAG_HEIGHT, below: y2, inside: y1 }[along];
      const tag = [left, top, left + wide, top + TAG_HEIGHT];
      const outside = left < 0 || top < 0 || tag[2] > FRAME_WIDTH || tag[3] > height * scale;
      const hidden = sides.map((each, other) => common(tag, each) * (other === place ? 0.3 : 1));
      const crossed = taken.map((each) => 2 * common(tag, each));
      const cost = [...hidden, ...crossed].reduce((sum, area) => sum + area, outside ? wide * TAG_HEIGHT : 0);
      return { across, along, tag, cost };
    });
    const best = choices.reduce((one, other) => (other.cost < one.cost ? other : one));
    taken.push(best.tag);
    const left = (100 * (best.across === "left" ? x1 : x2)) / FRAME_WIDTH;
    const down = `${(100 * (best.along === "below" ? y2 : y1)) / (height * scale)}%`;
    const top = best.along === "above" ? `max(${TAG_HEIGHT}px, ${down})` : down; // on a small screen there is less room above
    return h("span", { class: `tag ${best.across} ${best.along}`, "aria-hidden": "true", style: { left: `${left}%`, top, background: colour, color: text } }, h("b", {}, cells.id[cell]), h("span", {}, ` ${name}`));
  });
}

/** The area that two rectangles have in common. */
function common(one, other) {
  const across = Math.min(one[2], other[2]) - Math.max(one[0], other[0]);
  const down = Math.min(one[3], other[3]) - Math.max(one[1], other[1]);
  return Math.max(across, 0) * Math.max(down, 0);
}

/** What is known of a frame, and the list of its cells that pass the filters. */
function underFrame(frame, passing, marked) {
  const image = frame.image;
  const filter = (facet, option) => [h("dt", {}, facets[facet].title), h("dd", {}, facetLink(facet, option))];
  const facts = h(
    "dl",
    { class: "facts" },
    knownPatients() ? filter("patient", images.patient[image]) : null,
    data.parts.length > 1 ? filter("part", images.part[image]) : null,
    data.diagnoses.some((each) => !each.unknown) ? filter("diagnosis", images.diagnosis[image]) : null,
    [h("dt", {}, "Size"), h("dd", {}, `${number(images.width[image])} × ${number(images.height[image])} pixels`)],
    findingsOf[image].length ? [h("dt", {}, "Findings"), h("dd", {}, linksToFindings(findingsOf[image]))] : null,
  );
  const here = frame.boxes.map((_, place) => first[image] + place);
  const shown = here.filter((cell) => passing.has(cell));
  if (!here.length) return [facts, quiet("The image has no cells."), data.found ? foundTable(image) : null].filter(Boolean);
  const named = (cell) => findingsOf[image].filter((kind) => namedCells[kind].has(cell));
  const withFindings = shown.some((cell) => named(cell).length);
  const rows = shown.slice(0, MOST_CELLS).map((cell) => ({
    name: `${cells.id[cell]}${String(cells.id[cell]) === marked ? " (marked)" : ""}`,
    colour: data.classes[cells.class[cell]].colour,
    href: address({ view: "frames", more: [images.id[image], String(cells.id[cell])] }),
    cells: [
      facetLink("class", cells.class[cell]),
      `${number(cells.width[cell])} × ${number(cells.height[cell])}`,
      ...(withFindings ? [linksToFindings(named(cell))] : []),
    ],
  }));
  const columns = [{ title: "class", words: true }, "size in pixels", ...(withFindings ? [{ title: "findings", words: true }] : [])];
  const rest = here.length - shown.length;
  return [
    facts,
    data.found ? foundTable(image) : null,
    shown.length ? table("Cells of the frame", "cell", columns, rows) : null,
    shown.length > MOST_CELLS ? quiet(`and ${number(shown.length - MOST_CELLS)} more: filter the classes`) : null,
    rest ? quiet(`${counted(rest, "cell")} of the frame ${rest === 1 ? "does not pass the filters and has a thin grey outline" : "do not pass the filters and have thin grey outlines"}.`) : null,
  ].filter(Boolean);
}

/** An option of a facet, which filters by it. */
function facetLink(facet, option) {
  const { name } = facets[facet].options[option];
  return shownFacets.includes(facet) ? link({ chosen: { [facet]: [option] } }, name) : name;
}

/** Kinds of findings; each filters by it, in the view of findings if there is one. */
function linksToFindings(kinds) {
  const there = views.some((each) => each.name === "findings") ? { view: "findings" } : {};
  return kinds.flatMap((kind, place) => [place ? ", " : null, link({ ...there, chosen: { finding: [kind] } }, data.findings[kind].name)]);
}
