// The mistakes, worst first, by kind.

/** The most mistakes that are listed at once; the page has pictures of as many of each kind. */
const MOST_MISTAKES = 120;

/** The kinds of mistakes: which outcomes they are, already in order unless `by` gives another. */
const kinds = outcomes.detector
  ? [
      { name: "spurious", title: "Spurious boxes", order: "highest score first", is: (row) => outcomes.true[row] === NONE },
      { name: "missed", title: "Missed cells", order: "largest first", is: (row) => outcomes.predicted[row] === NONE },
      { name: "wrong-class", title: "Wrong class", order: "highest score first", is: (row) => outcomes.true[row] !== NONE && outcomes.predicted[row] !== NONE },
    ]
  : [
      { name: "surest", title: "Surest first", order: "the most probable wrong class first", is: () => true },
      { name: "loss", title: "Highest loss first", order: "the least probable true class first", is: () => true, by: (row) => -outcomes.loss[row] },
    ];

view("mistakes", "Mistakes", (root, chosen, [asked]) => {
  const wrong = chosenOutcomes(chosen).filter((row) => outcomes.true[row] !== outcomes.predicted[row]);
  const kind = kinds.find(({ name }) => name === asked) || kinds[0];
  const items = kinds.map((each) => {
    const count = wrong.filter(each.is).length;
    const current = each === kind ? "true" : null;
    return h("li", {}, h("a", { href: address({ view: "mistakes", more: [each.name] }), id: `kind-${each.name}`, "aria-current": current }, `${each.title} (${number(count)})`));
  });
  root.append(h("ul", { class: "choices", "aria-label": "Kinds of mistakes" }, items));
  const rows = wrong.filter(kind.is);
  if (kind.by) rows.sort((one, other) => kind.by(one) - kind.by(other));
  root.append(...outcomeTiles(rows, MOST_MISTAKES, kind.order));
});
