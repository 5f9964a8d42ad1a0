// What a detector found, over the frames: dashed boxes, a tag on each mistake, and a table.

/** The boxes that were found in an image, over its picture. */
function foundBoxes(image) {
  const width = images.width[image], height = images.height[image];
  const found = data.found[image] || [];
  const outlines = found.map(({ outcome, box: [x, y, wide, high] }) => {
    const path = `M${x} ${y}h${wide}v${high}h${-wide}Z`;
    const { colour } = data.classes[outcomes.predicted[outcome]];
    return svg("g", { class: "outline found" }, svg("path", { d: path, class: "casing" }), svg("path", { d: path, class: "line", style: { stroke: colour } }), svg("title", {}, foundName(outcome)));
  });
  const tags = found
    .filter(({ outcome }) => outcomes.true[outcome] !== outcomes.predicted[outcome])
    .map(({ outcome, box: [x, y, wide, high] }) => {
      const { colour, text } = data.classes[outcomes.predicted[outcome]];
      const across = x + wide < 0.3 * width ? ["left", x] : ["right", x + wide];
      const along = y + high > 0.95 * height ? "above" : "below";
      const place = { left: `${(100 * across[1]) / width}%`, top: `${(100 * (y + high)) / height}%`, background: colour, color: text };
      const [sign, ...name] = foundName(outcome).split(" ");
      return h("span", { class: `tag ${across[0]} ${along} found`, "aria-hidden": "true", style: place }, h("b", {}, sign), h("span", {}, " ", name.join(" ")));
    });
  return [svg("svg", { viewBox: `0 0 ${width} ${height}`, "aria-hidden": "true", class: "outlines" }, outlines), ...tags];
}

/** "→ Monocyte 0.93" for a cell, or "+ Monocyte 0.93" where there is none. */
function foundName(outcome) {
  return `${outcomes.true[outcome] === NONE ? "+" : "→"} ${predictedName(outcomes.predicted[outcome])} ${outcomes.score[outcome].toFixed(2)}`;
}

/** What was found in an image, and what it is in truth. */
function foundTable(image) {
  const found = [...(data.found[image] || [])].sort((one, other) => outcomes.score[other.outcome] - outcomes.score[one.outcome]);
  const rows = found.map(({ outcome, box: [, , wide, high] }) => {
    const predicted = outcomes.predicted[outcome], truth = outcomes.true[outcome];
    const { name, colour } = data.classes[predicted];
    const said = truth === NONE ? "spurious" : `cell ${cells.id[outcomes.cell[outcome]]}, ${truth === predicted ? "right" : trueName(truth)}`;
    return { name, colour, cells: [outcomes.score[outcome].toFixed(2), said, `${Math.round(wide)} × ${Math.round(high)}`] };
  });
  return rows.length ? table("Found boxes (dashed; → wrong class, + spurious)", "predicted class", ["score", { title: "in truth", words: true }, "size in pixels"], rows) : quiet("Nothing was found in this frame.");
}
