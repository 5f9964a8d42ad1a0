// What the page is: its data, its address, what is chosen, and the view that is drawn.
//
// The address (#view/more?part=test&class=Monocyte) is the only state. A click changes the address, and every change
// of the address draws the page again, so that a view can be bookmarked, sent, and left with "back".

const data = JSON.parse(document.getElementById("data").textContent);

/** The rows of the images and cells, as columns. An image's cells are those from `first[image]` to `first[image + 1]`. */
const images = data.images;
const cells = data.cells;
const first = [0];
for (const count of images.cells) first.push(first[first.length - 1] + count);
cells.image = images.cells.flatMap((count, image) => Array(count).fill(image));

/** The views, in the order of the navigation: {name, title, draw}. */
const views = [];

/** Add a view: `draw(root, chosen, more)` fills an element; `more` is what follows the view's name in the address. */
function view(name, title, draw) {
  views.push({ name, title, draw });
}

// Elements

/** An element. A style is {property: value}; `onclick` and the like are listeners; null, undefined and false are left out. */
function h(tag, attributes, ...children) {
  return fill(document.createElement(tag), attributes, children);
}

/** An SVG element. */
function svg(tag, attributes, ...children) {
  return fill(document.createElementNS("http://www.w3.org/2000/svg", tag), attributes, children);
}

function fill(made, attributes, children) {
  for (const [name, value] of Object.entries(attributes || {})) {
    if (value === null || value === undefined || value === false) continue;
    if (name === "style") for (const [property, of] of Object.entries(value)) made.style.setProperty(property, of);
    else if (name.startsWith("on")) made.addEventListener(name.slice(2), value);
    else made.setAttribute(name, value === true ? "" : value);
  }
  made.append(...children.flat(Infinity).filter((each) => each !== null && each !== undefined && each !== false));
  return made;
}

const number = new Intl.NumberFormat("en").format;

/** "1 image", "2 images". */
function counted(count, one, many) {
  return `${number(count)} ${count === 1 ? one : many || `${one}s`}`;
}

function percent(share, digits = 1) {
  return `${(100 * share).toFixed(digits)} %`;
}

// Facets: each has options with names; all but the class say which options an image has

const facets = {
  part: { title: "Part", options: data.parts, ofImage: (image) => [images.part[image]] },
  class: { title: "Class", options: data.classes },
  patient: { title: "Patient", options: data.patients, ofImage: (image) => [images.patient[image]] },
  diagnosis: { title: "Diagnosis", options: data.diagnoses, ofImage: (image) => [images.diagnosis[image]] },
  finding: { title: "Finding", options: data.findings, ofImage: (image) => findingsOf[image] },
};

/** Image -> the kinds of findings that concern it; kind -> the cells that it names. */
const findingsOf = images.cells.map(() => []);
const namedCells = data.findings.map((kind) => new Set(kind.cells));
data.findings.forEach((kind, number) => kind.images.forEach((image) => findingsOf[image].push(number)));

/** Facets with nothing to choose from are not shown. */
const shownFacets = Object.keys(facets).filter((name) => facets[name].options.length > 1 || (name === "finding" && facets[name].options.length));

// The address

/** What an address says: the view, what follows it, the chosen options of each facet, and what these data do not have. */
function stateOf(hash) {
  const [path, query] = splitOnce(hash.replace(/^#/, ""), "?");
  const [typed, ...more] = path.split("/").map(decoded);
  const name = typed === "everything" ? "all" : typed;
  const asked = new URLSearchParams(query);
  const chosen = {};
  for (const facet of shownFacets) {
    const names = new Set(asked.getAll(facet));
    const options = facets[facet].options.flatMap((option, number) => (names.has(option.name) ? [number] : []));
    chosen[facet] = new Set(options);
  }
  const known = name === "all" || views.some((each) => each.name === name);
  const absent = Object.entries(facets).flatMap(([facet, { title, options }]) => {
    const wrong = asked.getAll(facet).filter((each) => !options.some((option) => option.name === each));
    return wrong.map((each) => `${title.toLowerCase()} ${each}`);
  });
  if (name && !known) absent.unshift(`view ${name}`);
  return { view: known ? name : views[0].name, more, chosen, absent };
}

function splitOnce(text, mark) {
  const place = text.indexOf(mark);
  return place < 0 ? [text, ""] : [text.slice(0, place), text.slice(place + 1)];
}

function decoded(text) {
  try {
    return decodeURIComponent(text);
  } catch {
    return text; // a "%" that somebody typed
  }
}

/** The address of the present state with changes: {view, more: [...], chosen: {facet: [options]}}. */
function address(changes = {}) {
  const name = changes.view || state.view;
  const more = changes.more || (changes.view ? [] : state.more);
  const query = new URLSearchParams();
  for (const facet of shownFacets) {
    for (const option of (changes.chosen || {})[facet] || state.chosen[facet]) query.append(facet, facets[facet].options[option].name);
  }
  const path = [name, ...more].map(encodeURIComponent).join("/");
  return `#${path}${query.size ? `?${query}` : ""}`;
}

function go(changes) {
  keepScroll();
  history.pushState(null, "", address(changes));
  draw();
}

/** A link to another view, or to other filters. */
function link(changes, ...children) {
  return h("a", { href: address(changes) }, ...children);
}

// What is chosen

/** The images and cells that pass all facets but `without`, in order. */
function choose(chosen, without) {
  const asked = shownFacets.filter((name) => name !== without && chosen[name].size);
  const ofImages = asked.filter((name) => name !== "class");
  const classes = asked.includes("class") ? chosen.class : null;
  const kinds = asked.includes("finding") ? [...chosen.finding] : [];
  const found = { images: [], cells: [] };
  for (let image = 0; image < images.id.length; image++) {
    if (!ofImages.every((name) => facets[name].ofImage(image).some((option) => chosen[name].has(option)))) continue;
    const before = found.cells.length;
    const named = kinds.length ? namedHere(image, kinds) : null;
    for (let cell = first[image]; cell < first[image + 1]; cell++) {
      if ((!classes || classes.has(cells.class[cell])) && (!named || named.has(cell))) found.cells.push(cell);
    }
    if (!classes || found.cells.length > before) found.images.push(image);
  }
  return found;
}

/** The cells of an image that findings of these kinds name; null if one of them is about the whole image. */
function namedHere(image, kinds) {
  const named = new Set();
  for (const kind of kinds) {
    if (!findingsOf[image].includes(kind)) continue;
    let some = false;
    for (let cell = first[image]; cell < first[image + 1]; cell++) {
      if (namedCells[kind].has(cell)) {
        named.add(cell);
        some = true;
      }
    }
    if (!some) return null;
  }
  return named;
}

/** Option -> how many images (for classes: cells) it would leave. */
function optionCounts(name) {
  const counts = facets[name].options.map(() => 0);
  const found = choose(state.chosen, name);
  if (name === "class") for (const cell of found.cells) counts[cells.class[cell]]++;
  else for (const image of found.images) for (const option of facets[name].ofImage(image)) counts[option]++;
  return counts;
}

/** The patients of images, without those that are unknown. */
function patientsOf(chosenImages) {
  const found = new Set(chosenImages.map((image) => images.patient[image]));
  data.patients.forEach((patient, number) => patient.unknown && found.delete(number));
  return found;
}

/** Whether the patient of any image is known. */
function knownPatients() {
  return data.patients.some((patient) => !patient.unknown);
}

// Drawing

let state = null;
let chosen = null;

/** Draw what the address says; `scroll` is where the page was when "back" or "forward" leads to it. */
function draw(scroll) {
  const before = state;
  state = stateOf(location.hash);
  chosen = choose(state.chosen);
  drawNavigation();
  drawFilters();
  const main = document.getElementById("main");
  const focused = main.contains(document.activeElement) ? finderOf(main, document.activeElement) : null;
  main.replaceChildren(...views.filter((each) => state.view === "all" || each.name === state.view).map(sectionOf));
  const moved = before && before.view !== state.view;
  if (moved) main.focus({ preventScroll: true });
  else if (focused) (focused() || main).focus({ preventScroll: true });
  if (scroll !== undefined || moved) scrollTo(0, scroll || 0);
  const title = state.view === "all" ? "Everything" : views.find((each) => each.name === state.view).title;
  document.title = `${title} – ${data.title}`;
}

/** How to find an element again when all is drawn anew: by its id, or else by its text. */
function finderOf(main, element) {
  if (element.id) return () => document.getElementById(element.id);
  const said = (each) => each.getAttribute("aria-label") || each.textContent;
  const like = () => [...main.querySelectorAll(element.localName)].filter((each) => said(each) === said(element));
  const place = like().indexOf(element);
  return () => like()[place] || like()[0];
}

/** Keep where the page is in the history, so that "back" leads there. */
function keepScroll() {
  history.replaceState({ scroll: scrollY }, "");
}

function sectionOf(each) {
  const root = h("section", { class: "view", "aria-labelledby": `title-${each.name}` });
  root.append(h("h2", { id: `title-${each.name}` }, each.title));
  each.draw(root, chosen, state.view === each.name ? state.more : []);
  return root;
}

/** The links to the views; they stay when the page is drawn again, and with them the focus. */
function drawNavigation() {
  const navigation = document.getElementById("views");
  const shown = [...views, { name: "all", title: "Everything" }];
  if (!navigation.children.length) navigation.append(h("ul", {}, shown.map((each) => h("li", {}, h("a", {}, each.title)))));
  navigation.querySelectorAll("a").forEach((each, place) => {
    each.href = address({ view: shown[place].name });
    if (shown[place].name === state.view) each.setAttribute("aria-current", "page");
    else each.removeAttribute("aria-current");
  });
}

function start() {
  history.scrollRestoration = "manual"; // the browser would scroll before the view is drawn
  addEventListener("hashchange", () => draw(history.state?.scroll));
  let soon = 0;
  addEventListener("scroll", () => {
    clearTimeout(soon);
    soon = setTimeout(keepScroll, 150);
  });
  addEventListener("popstate", () => clearTimeout(soon)); // another entry, which must not get this one's place
  addEventListener("click", keepScroll, true);
  document.getElementById("skip").addEventListener("click", (event) => {
    event.preventDefault();
    document.getElementById("main").focus();
  });
  draw(history.state?.scroll);
}
