// The bar of facets: a list of options for each, what is chosen, and how much of the data that is.

/** How many options of a facet are listed; a search finds the others. */
const MOST_OPTIONS = 200;
const LONG_LIST = 12;

/** Facet -> {counts, list, search, chosen}, its elements, which stay when the page is drawn again. */
let bar = null;

function drawFilters() {
  bar ??= makeBar();
  for (const name of shownFacets) drawOptions(name);
  const whole = { images: images.id.length, cells: cells.class.length };
  const people = patientsOf(chosen.images).size;
  const all = data.patients.filter((patient) => !patient.unknown).length;
  const of = (part, total, one) => (part === total ? counted(total, one) : `${number(part)} of ${counted(total, one)}`);
  bar.said.textContent = [
    of(chosen.images.length, whole.images, "image"),
    of(chosen.cells.length, whole.cells, "cell"),
    ...(all ? [of(people, all, "patient")] : []),
  ].join(", ");
  const { absent } = state;
  bar.absent.replaceChildren(...(absent.length ? [note(`This page has no ${absent.join(", no ")}: that part of the address is ignored.`)] : []));
  drawChips();
}

function makeBar() {
  const made = { of: {}, said: h("p", { class: "said", role: "status" }), chips: h("ul", { class: "chips", "aria-label": "Chosen" }), absent: h("div", { role: "alert" }) };
  const boxes = shownFacets.map((name) => {
    const count = facets[name].options.length;
    const elements = { list: h("ul", { class: "options" }), more: h("p", { class: "quiet" }), chosen: h("span", { class: "quiet" }) };
    elements.search = count > LONG_LIST ? h("input", { type: "search", placeholder: "Find", "aria-label": `Find: ${facets[name].title}`, oninput: () => drawOptions(name) }) : null;
    made.of[name] = elements;
    return h(
      "details",
      { class: "facet", "data-facet": name, ontoggle: opened, onfocusout: closeWhenLeft, onkeydown: stepThrough },
      h("summary", {}, facets[name].title, " ", elements.chosen),
      h("div", { class: "panel", role: "group", "aria-label": facets[name].title }, elements.search, elements.list, elements.more),
    );
  });
  addEventListener("click", (event) => closeUnless(event.target));
  addEventListener("keydown", (event) => event.key === "Escape" && closeUnless(null));
  document.getElementById("filters").append(h("div", { class: "facets" }, boxes), made.chips, made.absent, made.said);
  return made;
}

/** The options of a facet with their counts. The same option keeps its element, and with it the focus. */
function drawOptions(name) {
  const { list, search, more, chosen: said } = bar.of[name];
  const counts = optionCounts(name);
  const sought = (search?.value || "").trim().toLowerCase();
  const found = facets[name].options.flatMap((option, number) => (option.name.toLowerCase().includes(sought) ? [number] : []));
  const there = new Map([...list.children].map((item) => [Number(item.dataset.option), item]));
  const items = found.slice(0, MOST_OPTIONS).map((option) => there.get(option) || makeOption(name, option));
  if (items.length !== list.children.length || items.some((item, place) => item !== list.children[place])) list.replaceChildren(...items);
  for (const item of items) {
    const option = Number(item.dataset.option);
    item.querySelector("input").checked = state.chosen[name].has(option);
    item.querySelector(".count").textContent = number(counts[option]);
    item.classList.toggle("none", !counts[option]);
  }
  more.textContent = found.length > MOST_OPTIONS ? `and ${number(found.length - MOST_OPTIONS)} more: use Find` : "";
  const size = state.chosen[name].size;
  said.classList.toggle("any", size === 0);
  said.textContent = size === 0 ? "all" : size === 1 ? facets[name].options[[...state.chosen[name]][0]].name : `${size} chosen`;
}

function makeOption(name, option) {
  const { name: label, colour } = facets[name].options[option];
  const box = h("input", { type: "checkbox", onchange: () => toggle(name, option) });
  return h("li", { "data-option": option }, h("label", {}, box, colour ? swatch(colour) : null, h("span", { class: "name" }, label), " ", h("span", { class: "count" })));
}

function toggle(name, option) {
  const options = new Set(state.chosen[name]);
  if (!options.delete(option)) options.add(option);
  go({ chosen: { [name]: options } });
}

/** What is chosen. The focus on one that is removed goes to the next, or else to the list that it was in. */
function drawChips() {
  const focused = document.activeElement;
  const place = [...bar.chips.children].findIndex((item) => item.contains(focused));
  bar.chips.replaceChildren(...chips());
  if (place < 0) return;
  const next = bar.chips.children[Math.min(place, bar.chips.children.length - 1)]?.firstChild;
  (next || document.querySelector(`.facet[data-facet="${focused.dataset.facet || shownFacets[0]}"] summary`)).focus();
}

function chips() {
  const found = shownFacets.flatMap((name) =>
    [...state.chosen[name]].map((option) => {
      const label = facets[name].options[option].name;
      const remove = h("button", { type: "button", "data-facet": name, onclick: () => remove.isConnected && toggle(name, option) }, `${facets[name].title}: ${label} `, h("span", { "aria-hidden": "true" }, "×"), h("span", { class: "unseen" }, " (remove)"));
      return h("li", {}, remove);
    }),
  );
  const none = Object.fromEntries(shownFacets.map((name) => [name, []]));
  return found.length > 1 ? [...found, h("li", {}, h("button", { type: "button", onclick: () => go({ chosen: none }) }, "Clear all"))] : found;
}

/** Close the other lists, and keep the list that was opened on the screen. */
function opened(event) {
  const facet = event.target;
  if (!facet.open) return;
  for (const each of document.querySelectorAll("details.facet[open]")) if (each !== facet) each.open = false;
  const panel = facet.querySelector(".panel");
  panel.style.left = "";
  const beyond = panel.getBoundingClientRect().right + 8 - document.documentElement.clientWidth;
  if (beyond > 0) panel.style.left = `${-beyond}px`;
}

function closeWhenLeft(event) {
  const facet = event.currentTarget;
  if (event.relatedTarget && !facet.contains(event.relatedTarget)) facet.open = false;
}

/** The arrow keys go through the options. */
function stepThrough(event) {
  const by = { ArrowDown: 1, ArrowUp: -1 }[event.key];
  const facet = event.currentTarget;
  if (!by || !facet.open) return;
  const stops = [...facet.querySelectorAll("summary, input")];
  event.preventDefault();
  stops[Math.min(Math.max(stops.indexOf(document.activeElement) + by, 0), stops.length - 1)].focus();
}

/** Close the lists, unless what was clicked is in one; the focus goes back to its title. */
function closeUnless(target) {
  for (const each of document.querySelectorAll("details.facet[open]")) {
    if (target && (each.contains(target) || !target.isConnected)) continue;
    const inside = each.contains(document.activeElement);
    each.open = false;
    if (inside) each.querySelector("summary").focus();
  }
}
