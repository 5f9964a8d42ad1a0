// Tables with bars, plots, and pictures, which all views use.

function swatch(colour) {
  return h("span", { class: "swatch", style: { background: colour }, "aria-hidden": "true" });
}

/** A picture by its number in `data.pictures`, or a grey field if its file could not be read. */
function picture(number, alt, attributes = {}) {
  const source = data.pictures[number];
  if (!source) return h("span", { class: "unread", role: "img", "aria-label": `${alt}: cannot be read` }, "cannot be read");
  return h("img", { src: `data:image/jpeg;base64,${source}`, alt, ...attributes });
}

/** A piece of the line that a box is drawn in. */
function strokeOf(colour, dashed) {
  return h("span", { class: "stroke", style: { "border-top": `3px ${dashed ? "dashed" : "solid"} ${colour}` }, "aria-hidden": "true" });
}

/** "Monocyte, P1/a.jpg cell 3" */
function cellName(cell) {
  const image = cells.image[cell];
  return `${data.classes[cells.class[cell]].name}, ${images.id[image]} cell ${cells.id[cell]}`;
}

/** Images that the page has a frame of. */
const framed = new Set((data.frames || []).map((frame) => frame.image));

/** A crop with its caption. It leads to its cell in the frame if the page has the frame. */
function cropOf(cell, number, ...caption) {
  const image = cells.image[cell];
  const label = data.classes[cells.class[cell]];
  const shown = picture(number, cellName(cell), { class: "crop" });
  const inFrame = { view: "frames", more: [images.id[image], String(cells.id[cell])] };
  const said = h("span", { class: "row-name" }, caption.length ? caption : label.name);
  return h("figure", { class: "tile", title: cellName(cell) }, framed.has(image) ? link(inFrame, shown) : shown, h("figcaption", {}, swatch(label.colour), said));
}

/**
 * A table: `columns` are titles, or {title, words: true} for a column of words, {title, wide: true} for sentences.
 *
 * A row is {name, colour, href, cells: [...]}; if it has a `text`, that is shown for its name.
 */
function table(caption, first, columns, rows) {
  const titles = columns.map((column) => (typeof column === "string" ? { title: column } : column));
  const kind = ({ words, wide }) => (wide ? "words wide" : words ? "words" : null);
  const head = h("tr", {}, h("th", { scope: "col" }, first), titles.map((column) => h("th", { scope: "col", class: kind(column) }, column.title)));
  const body = rows.map((row) =>
    h(
      "tr",
      { class: row.total ? "total" : null },
      h("th", { scope: "row" }, row.colour ? swatch(row.colour) : null, h(row.href ? "a" : "span", { href: row.href, class: "row-name", title: row.name }, row.text || row.name)),
      row.cells.map((cell, place) => h("td", { class: kind(titles[place]) }, cell)),
    ),
  );
  return h("div", { class: "scroll", tabindex: "0", role: "region", "aria-label": caption }, h("table", {}, h("caption", {}, caption), h("thead", {}, head), h("tbody", {}, body)));
}

/** A number with a bar: `share` of its length, 0 to 1. */
function barOf(share, text, colour, title) {
  const filled = h("span", { class: "filled", style: { width: `${(100 * Math.min(Math.max(share, 0), 1)).toFixed(1)}%`, background: colour || "var(--bar)" } });
  return h("span", { class: "bar", title }, h("span", { class: "track", "aria-hidden": "true" }, share > 0 ? filled : null), h("span", {}, text));
}

/** A bar whose segments are the shares of {name, colour, count}; those without a count are left out. */
function stackedBar(counts) {
  const there = counts.filter((each) => each.count);
  const total = there.reduce((sum, each) => sum + each.count, 0);
  const said = (each) => `${each.name}: ${number(each.count)}, ${percent(each.count / total)}`;
  const segments = there.map((each) => h("span", { title: said(each), style: { "flex-grow": each.count, background: each.colour } }));
  return h("span", { class: "mix", role: "img", "aria-label": there.map(said).join("; ") }, segments);
}

/**
 * A table of counts with bars. A bar is the share of its column, and the largest share of all fills it.
 *
 * counts: column -> row -> count; rows: [{name, colour, href}]; above: rows of plain numbers before them.
 */
function countTable(caption, first, columns, rows, counts, { above = [], total } = {}) {
  const sums = counts.map((column) => column.reduce((sum, count) => sum + count, 0));
  const shares = counts.map((column, place) => column.map((count) => count / (sums[place] || 1)));
  const largest = Math.max(...shares.flat(), 1e-9);
  const body = rows.map((row, index) => ({
    ...row,
    cells: counts.map((column, place) =>
      barOf(shares[place][index] / largest, number(column[index]), row.colour, `${percent(shares[place][index])} of ${number(sums[place])}`),
    ),
  }));
  const last = total ? [{ name: total, total: true, cells: sums.map(number) }] : [];
  return table(caption, first, columns, [...above, ...body, ...last]);
}

/** Nice round numbers from `low` to `high`, at most `most` of them. */
function ticks(low, high, most = 6) {
  const rough = (high - low || 1) / most;
  const power = 10 ** Math.floor(Math.log10(rough));
  const step = [1, 2, 5, 10].map((each) => each * power).find((each) => each >= rough);
  const found = [];
  for (let at = Math.ceil(low / step) * step; at <= high + step / 1e6; at += step) found.push(Number(at.toPrecision(12)));
  return found;
}

/**
 * A plot on paper: `marks(x, y)` gives the SVG elements, where x and y turn values into places.
 *
 * x, y: {label, low, high, format}. `said` describes the plot for those who do not see it.
 */
function plot({ x, y, said, marks, width = 560, height = 360, right = 12 }) {
  const left = 56, top = 10, bottom = 44;
  const scale = (axis, from, to) => (value) => from + ((value - axis.low) / (axis.high - axis.low || 1)) * (to - from);
  const across = scale(x, left, width - right);
  const up = scale(y, height - bottom, top);
  const written = (axis, value) => (axis.format || number)(value);
  const grid = [
    ...ticks(x.low, x.high).map((value) => [
      svg("line", { x1: across(value), x2: across(value), y1: top, y2: height - bottom, class: "grid" }),
      svg("text", { x: across(value), y: height - bottom + 16, "text-anchor": "middle" }, written(x, value)),
    ]),
    ...ticks(y.low, y.high).map((value) => [
      svg("line", { x1: left, x2: width - right, y1: up(value), y2: up(value), class: "grid" }),
      svg("text", { x: left - 6, y: up(value) + 4, "text-anchor": "end" }, written(y, value)),
    ]),
    svg("text", { x: (left + width - right) / 2, y: height - 8, "text-anchor": "middle" }, x.label),
    svg("text", { x: 14, y: (top + height - bottom) / 2, "text-anchor": "middle", transform: `rotate(-90 14 ${(top + height - bottom) / 2})` }, y.label),
  ];
  const drawing = svg("svg", { viewBox: `0 0 ${width} ${height}`, role: "img", "aria-label": said, class: "plot" }, grid, marks(across, up));
  return h("div", { class: "paper" }, drawing);
}

/** A name of at most 34 characters: its beginning and its end. */
function shortName(name) {
  return name.length > 34 ? `${name.slice(0, 6)}…${name.slice(-27)}` : name;
}

function note(...children) {
  return h("p", { class: "note" }, ...children);
}

function quiet(...children) {
  return h("p", { class: "quiet" }, ...children);
}
