// Curves: precision over recall of each class, confidence and accuracy, and the training; each with its numbers in a table.

const DASHES = [null, "8 4", "2 3", "10 3 2 3", "14 5", "5 2"];
/** The most epochs in the table of the training. */
const MOST_EPOCHS = 60;
const share = (value) => (value === null ? "–" : (100 * value).toFixed(1));
const axis = (label) => ({ label: `${label}, %`, low: 0, high: 1, format: (value) => String(Math.round(100 * value)) });

view("curves", "Curves", (root) => {
  const { precisionRecall, reliability, coverage, training } = data.curves;
  if (noteOnWhole("")) root.append(noteOnWhole("These curves are"));
  if (precisionRecall) precisionRecallCurves(root, precisionRecall);
  if (reliability) reliabilityCurves(root, reliability);
  if (coverage) coverageCurve(root, coverage);
  if (training) trainingCurves(root, training);
  else root.append(quiet("There are no training curves: the run has no logs that can be read."));
});

/** Text in a plot is as wide as on the screen: on a phone, a plot is drawn narrow. */
function plotWidth() {
  return Math.min(Math.max(innerWidth - 30, 340), 640);
}

/**
 * A plot of lines, each with its name at its end.
 *
 * lines: {name, points: [[x, y], ...], colour, dash, marked}; where y is null, a line is interrupted.
 */
function linesPlot({ x, y, lines, said, right = 130, width = plotWidth(), height = 340, before = () => [] }) {
  const marks = (across, up) => {
    const drawn = lines.map(({ points, colour, dash, marked }) => {
      const steps = points.map(([at, value], place) => (value === null ? "" : `${place && points[place - 1][1] !== null ? "L" : "M"}${across(at).toFixed(1)} ${up(value).toFixed(1)}`));
      const isThere = (place) => points[place] && points[place][1] !== null;
      const dotted = points.filter((_, place) => isThere(place) && (marked || !(isThere(place - 1) || isThere(place + 1))));
      const dots = dotted.map(([at, value]) => svg("circle", { cx: across(at), cy: up(value), r: 3, style: { fill: colour } }));
      return [svg("path", { d: steps.join(""), class: "curve", "stroke-dasharray": dash, style: { stroke: colour } }), dots];
    });
    return [before(across, up), drawn, endLabels(lines, across, up, width - right, height)];
  };
  return h("div", { class: "sized" }, plot({ x, y, said, marks, width, height, right }));
}

/** The names of lines, each beside its last point; those that would overlap are moved apart. */
function endLabels(lines, across, up, edge, height) {
  const ends = lines.map(({ name, points, colour, dash }) => {
    const known = points.filter(([, value]) => value !== null);
    const [at, value] = known[known.length - 1] || [0, 0];
    return { name, colour, dash, x: across(at), y: up(value), place: up(value) };
  });
  ends.sort((one, other) => one.y - other.y);
  for (let each = 1; each < ends.length; each++) ends[each].place = Math.max(ends[each].place, ends[each - 1].place + 14);
  const over = ends.length ? Math.max(ends[ends.length - 1].place - (height - 46), 0) : 0;
  for (let each = ends.length - 1, lowest = Infinity; over && each >= 0; each--) {
    ends[each].place = Math.min(ends[each].place, height - 46, lowest);
    lowest = ends[each].place - 14;
  }
  return ends.map(({ name, colour, dash, x, y, place }) => [
    svg("path", { d: `M${x} ${y}L${edge + 4} ${place}`, class: "leader" }),
    svg("path", { d: `M${edge + 4} ${place}h22`, class: "curve", "stroke-dasharray": dash, style: { stroke: colour } }),
    svg("text", { x: edge + 30, y: place + 4 }, name),
  ]);
}

function inTable(title, first, columns, rows) {
  return h("details", {}, h("summary", {}, `In numbers: ${title}`), table(title, first, columns, rows));
}

function precisionRecallCurves(root, curves) {
  const classes = state.chosen.class?.size ? curves.filter((each) => state.chosen.class.has(each.class)) : curves;
  root.append(h("h3", {}, "Precision over recall"), quiet("Solid: at IoU 0.5. Dashed: the mean over IoU 0.50 to 0.95. The areas below them are AP50 and AP."));
  const recalls = [...Array(101).keys()].map((step) => step / 100);
  const panels = classes.map((each) => {
    const { name, colour } = data.classes[each.class];
    const scores = `AP50 ${share(each.ap50)}, AP ${share(each.ap)}`;
    const line = (text, values, dash) => ({ name: text, points: values.map((value, step) => [recalls[step], value]), colour, dash });
    const lines = [line("IoU 0.5", each.at50, null), line("mean", each.mean, "6 4")];
    const drawn = linesPlot({ x: axis("recall"), y: axis("precision"), lines, said: `Precision over recall of ${name}: ${scores}`, width: 380, height: 260, right: 84 });
    return h("figure", { class: "panel-plot" }, h("figcaption", {}, swatch(colour), name, h("span", { class: "quiet" }, ` ${scores}`)), drawn);
  });
  root.append(h("div", { class: "panels" }, panels));
  const steps = [0, 10, 20, 30, 40, 50, 60, 70, 80, 90, 100];
  for (const [key, title] of [["at50", "precision at IoU 0.5, %"], ["mean", "mean precision over IoU 0.50 to 0.95, %"]]) {
    const rows = classes.map((each) => ({ name: data.classes[each.class].name, colour: data.classes[each.class].colour, cells: steps.map((step) => share(each[key][step])) }));
    root.append(inTable(title, "class", steps.map((step) => `recall ${step} %`), rows));
  }
}

function reliabilityCurves(root, curves) {
  const points = ({ bins }) => bins.filter((bin) => bin.cells).map((bin) => [bin.confidence, bin.accuracy]);
  const lines = curves.map((each, place) => ({ name: each.name, points: points(each), colour: place ? "var(--ink)" : "var(--bar)", dash: DASHES[place], marked: true }));
  const cellsIn = curves[0].bins.reduce((sum, bin) => sum + bin.cells, 0) || 1;
  const before = (across, up) => [
    curves[0].bins.map((bin) => svg("rect", { x: across(bin.low), width: across(bin.high) - across(bin.low), y: up(bin.cells / cellsIn), height: up(0) - up(bin.cells / cellsIn), class: "counts" })),
    svg("path", { d: `M${across(0)} ${up(0)}L${across(1)} ${up(1)}`, class: "diagonal" }),
  ];
  const errors = curves.map((each) => `${each.name} ${share(each.ece)} %`).join(", ");
  root.append(h("h3", {}, "Reliability"), quiet(`A model that can be trusted is on the diagonal. Calibration error (ECE): ${errors}. Grey: the share of cells at each confidence.`));
  root.append(linesPlot({ x: axis("confidence"), y: axis("accuracy"), lines, said: `Accuracy over confidence; calibration error: ${errors}`, right: 170, before }));
  for (const { name, bins } of curves) {
    const rows = bins.filter((bin) => bin.cells).map((bin) => ({ name: `${share(bin.low)} to ${share(bin.high)}`, cells: [number(bin.cells), share(bin.confidence), share(bin.accuracy)] }));
    root.append(inTable(`reliability ${name}`, "confidence, %", ["cells", "mean confidence, %", "accuracy, %"], rows));
  }
}

function coverageCurve(root, { curve, accuracy_at: at, aurc }) {
  const points = curve.map((value, step) => [(step + 1) / 100, value]);
  const ends = at.flatMap((each) => each.interval || []);
  const low = Math.max(Math.floor(10 * Math.min(1, ...curve.filter((value) => value !== null), ...ends)) / 10 - 0.05, 0);
  const before = (across, up) => at.filter((each) => each.interval).map((each) => svg("path", { d: `M${across(each.coverage)} ${up(each.interval[0])}V${up(each.interval[1])}`, class: "whisker" }));
  root.append(h("h3", {}, "Accuracy of the surest cells"), quiet(`If the model may leave the cells it is least sure of to people. Area under the risk-coverage curve: ${share(aurc.value)} %. Lines up and down are 95 % intervals.`));
  root.append(linesPlot({ x: axis("share of cells, surest first"), y: { ...axis("accuracy"), low }, lines: [{ name: "accuracy", points, colour: "var(--bar)" }], said: "Accuracy over the share of cells, surest first", before }));
  const rows = at.map((each) => ({ name: `${Math.round(100 * each.coverage)} %`, cells: [share(each.value), between(each.interval)] }));
  root.append(inTable("accuracy of the surest cells", "share of cells", ["accuracy, %", "95 % interval"], rows));
}

function trainingCurves(root, { phases, lines }) {
  root.append(h("h3", {}, "Training"), quiet("From the logs of the run; no filter changes them."));
  const last = Math.max(...phases.map((phase) => phase.last));
  const x = { label: "epoch", low: 0.5, high: last + 0.5, format: (value) => (Number.isInteger(value) ? number(value) : "") };
  for (const kind of ["loss", "score", "learning rate"]) {
    const found = lines.filter((line) => line.kind === kind);
    if (!found.length) continue;
    const values = found.flatMap((line) => line.values.filter((value) => value !== null));
    const families = [...new Set(found.map((line) => line.family))];
    const shown = found.map((line) => ({
      name: line.name,
      points: line.epochs.map((epoch, place) => [epoch, line.values[place]]),
      colour: line.validation ? "var(--ink)" : "var(--bar)",
      dash: DASHES[families.indexOf(line.family) % DASHES.length],
    }));
    const format = (value) => (value && Math.abs(value) < 0.001 ? value.toExponential() : String(Number(value.toPrecision(3))));
    const high = Math.max(...values) * (phases.length > 1 ? 1.1 : 1); // above the lines, there are the names of the phases
    const y = kind === "score" ? axis("") : { low: Math.min(0, ...values), high, format };
    y.label = "";
    const before = (across, up) =>
      phases.length < 2 ? [] : phases.map((phase) => [svg("path", { d: `M${across(phase.first - 0.5)} ${up(y.low)}V${up(y.high)}`, class: "border" }), svg("text", { x: across((phase.first + phase.last) / 2), y: up(y.high) + 12, "text-anchor": "middle" }, phase.name)]);
    root.append(h("h4", {}, kind === "score" ? "Scores, %" : kind === "loss" ? "Losses" : "Learning rate"));
    root.append(linesPlot({ x, y, lines: shown, said: `The ${kind} over ${counted(last, "epoch")} of training`, right: 170, before }));
    if (kind === "score") root.append(quiet(found.map(highest).join("; "), "."));
  }
  const every = Math.max(Math.ceil(last / MOST_EPOCHS), 1);
  const epochs = [...Array(Math.floor(last)).keys()].map((epoch) => epoch + 1).filter((epoch) => epoch % every === 0 || epoch === 1 || epoch === last);
  const valueAt = (line, epoch) => line.values[line.epochs.indexOf(epoch)];
  const rows = epochs.map((epoch) => ({ name: String(epoch), cells: lines.map((line) => { const value = valueAt(line, epoch); return value === undefined || value === null ? "–" : Number(value.toPrecision(4)); }) }));
  root.append(inTable(every > 1 ? `training, one epoch of ${every}` : "training", "epoch", lines.map((line) => line.name), rows));
}

function highest({ name, epochs, values }) {
  const best = values.reduce((best, value, place) => (value !== null && (best < 0 || value > values[best]) ? place : best), -1);
  return best < 0 ? `${name}: none` : `highest ${name}: ${values[best].toFixed(3)}, epoch ${epochs[best]}`;
}
