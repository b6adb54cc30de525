// How alike the inputs are to a model: each against each.
import { html } from "../lib.js";
import { Name } from "../parts.js";
import { models } from "../state.js";

const dot = (a, b) => a.reduce((sum, value, n) => sum + value * b[n], 0);
const cosine = (a, b) => dot(a, b) / (Math.hypot(...a) * Math.hypot(...b) || 1);

function sparseDot(a, b) {
  const values = new Map(b.indices.map((index, n) => [index, b.values[n]]));
  return a.indices.reduce((sum, index, n) => sum + a.values[n] * (values.get(index) ?? 0), 0);
}

/** For each vector of `a` the nearest of `b`; their mean, so that long texts do not win. */
const maxSim = (a, b) => a.reduce((sum, row) => sum + Math.max(...b.map((other) => cosine(row, other))), 0) / a.length;

const MANY = 4; // from so many inputs on a matrix has the width to itself

const MEASURES = {
  dense: ["cosine", (a, b) => cosine(a.dense, b.dense)],
  sparse: ["dot product", (a, b) => sparseDot(a.sparse, b.sparse)],
  multivector: ["max_sim, mean of the tokens", (a, b) => maxSim(a.multivector.rows, b.multivector.rows)],
};

/** Outputs of models that share a space belong together: CLIP's texts and images. */
function spaces(outputs) {
  const found = new Map();
  for (const { model: name, outputs: all } of outputs) {
    const model = models.value.find((one) => one.name === name);
    const output = { model: name, outputs: all.filter((one) => !one.error) };
    if (!model || !output.outputs.length) continue;
    const space = [model.name, ...model.shared_with].sort().join(" ");
    const one = found.get(space) ?? { names: [], kind: model.vector, items: [] };
    one.names.push(output.model);
    one.items.push(...output.outputs);
    found.set(space, one);
  }
  return [...found.values()].filter((space) => space.items.length > 1);
}

export function Similarities({ inputs, outputs }) {
  return html`<div class="beside">${spaces(outputs).map((space) => html`<${Matrix} ...${space} inputs=${inputs} />`)}</div>`;
}

function Matrix({ names, kind, items, inputs }) {
  const [measure, alike] = MEASURES[kind];
  const sorted = items.toSorted((a, b) => a.input - b.input);
  const rows = sorted.map((a) => sorted.map((b) => alike(a, b)));
  // An absolute scale: to 1 for cosines, which have no other; a sparse model's greatest is that of a text with itself.
  const most = kind === "sparse" ? Math.max(...rows.map((row, n) => row[n])) : 1;
  const strength = (value) => Math.round(46 * Math.min(1, Math.max(0, value / (most || 1))));
  return html`<figure class=${items.length >= MANY ? "matrix wide" : "matrix"}>
    <figcaption>${names.map((name) => html`<${Name} name=${name} /> `)}<span class="dim small">${measure}</span>
      <span class="scale dim small" aria-hidden="true">0 <i></i> ${most === 1 ? "1" : most.toFixed(1)}</span></figcaption>
    <div class="scroll" tabindex="0" role="group" aria-label=${`Similarities by ${names.join(" and ")}`}><table aria-label=${`Similarity to ${names.join(" and ")}, ${measure}`}>
      <thead><tr><td></td>${sorted.map((one) => html`<th scope="col"><${Label} order=${one.input} input=${inputs[one.input]} /></th>`)}</tr></thead>
      <tbody>
        ${rows.map((row, y) => html`<tr>
          <th scope="row"><${Label} order=${sorted[y].input} input=${inputs[sorted[y].input]} long /></th>
          ${row.map((value, x) => html`<td class=${x === y ? "self" : ""}
            style=${x === y ? {} : { background: `color-mix(in oklab, var(--c2) ${strength(value)}%, var(--paper))` }}>${value.toFixed(2)}</td>`)}
        </tr>`)}
      </tbody>
    </table></div>
  </figure>`;
}

function Label({ order, input, long }) {
  const what = input.image ? html`<img src=${input.shown} alt=${input.name} />` : long && html`<span class="start">${input.text}</span>`;
  return html`<span class="order">${order + 1}</span> ${what}`;
}
