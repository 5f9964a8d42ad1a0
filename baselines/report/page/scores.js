// The scores of a run with their intervals, and by class. They are those of the whole part: no facet changes them.

/** A score with a bar, and its interval; or a count. */
function scoreCell({ value, interval, count }, colour) {
  if (count !== undefined) return number(count);
  if (value === null) return "–";
  const within = interval ? h("span", { class: "quiet interval" }, between(interval)) : null;
  return [barOf(value, (100 * value).toFixed(1), colour), within];
}

/** "69.8 to 98.5" */
function between(interval) {
  return interval ? interval.map((value) => (100 * value).toFixed(1)).join(" to ") : "";
}

function measureTable(caption, measures) {
  const rows = measures.map((measure) => ({ name: measure.name, cells: [scoreCell({ ...measure, interval: null }), between(measure.interval)] }));
  return h("div", { class: "measures" }, table(caption, "measure", ["score, %", "95 % interval"], rows));
}

/** Says so where a facet is chosen but what is shown is of the whole part. */
function noteOnWhole(what) {
  return Object.values(state.chosen).some((options) => options.size) ? note(`${what} of the whole part. The filters do not change them.`) : null;
}

view("scores", "Scores", (root) => {
  const { facts, note: said, measures, howSure, columns, byClass, more } = data.scores;
  root.append(...[noteOnWhole("These scores are"), said ? note(said) : null].filter(Boolean));
  if (facts.length) root.append(h("ul", { class: "run-facts" }, facts.map((fact) => h("li", {}, fact))));
  root.append(measureTable("All classes", measures), quiet(howSure));
  const rows = byClass.map((each, number) => {
    const { colour } = data.classes[number];
    return { name: each.name, colour, cells: each.numbers.map((one) => scoreCell(one, colour)) };
  });
  root.append(table("Scores by class", "class", columns, rows));
  root.append(h("details", {}, h("summary", {}, more.title), measureTable(more.title, more.measures)));
});
