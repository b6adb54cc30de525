// What the chosen models make of the inputs.
import { ask } from "../api.js";
import { curl } from "../curl.js";
import { ms, full } from "../format.js";
import { Component, html, signal } from "../lib.js";
import { Choice, CopyButton, Name } from "../parts.js";
import * as state from "../state.js";
import { asked, inputs, Inputs, isEmpty } from "./inputs.js";
import { Similarities } from "./similarity.js";
import { Tokens } from "./tokens.js";
import { Heat, Words } from "./vectors.js";

const DIRECTIONS = { search: "as queries", update: "as passages" };
const MOST_MODELS = 16; // in one question

const chosen = signal(null);
const direction = signal("search");
const shown = signal(null);
const busy = signal(false);
const missing = signal(null);

/** Until somebody chooses: for texts a model of each family, for images those that compare them, with texts too. */
const names = () => chosen.value ?? (inputs.value.some((one) => one.image) ? ofImages() : ofTexts()).map((one) => one.name);
/** Not those of external providers, whose calls cost somebody something. */
const ready = () => state.models.value.filter((one) => one.state === "ready" && !one.external);
const isOfImages = (model) => model.reads.includes("image") || model.shared_with.some((name) => state.models.value.find((one) => one.name === name)?.reads.includes("image"));

function ofTexts() {
  const texts = ready().filter((one) => one.modality === "text");
  const own = texts.filter((one) => !isOfImages(one));
  return (own.length ? own : texts).filter((one, n, all) => all.findIndex((other) => other.family === one.family) === n);
}

const ofImages = () => ready().filter(isOfImages).slice(0, MOST_MODELS);

function toggle(name) {
  const now = names();
  chosen.value = now.includes(name) ? now.filter((other) => other !== name) : [...now, name].slice(-MOST_MODELS);
}

const sent = () => inputs.value.filter((one) => !isEmpty(one));
const question = () => ({
  inputs: sent().map(asked),
  models: state.models.value.map((one) => one.name).filter((name) => names().includes(name)),
  direction: direction.value,
});

/** What keeps the inputs from being embedded, and where the keyboard goes then. */
function lacking() {
  if (!sent().length) return ["Write a text or add an image first.", ".inputs textarea, .inputs .buttons button"];
  if (!names().length) return ["Choose a model first.", ".chips button"];
  return null;
}

async function run() {
  if (busy.value) return;
  const [text, place] = lacking() ?? [null];
  missing.value = text;
  if (place) return document.querySelector(place)?.focus();
  busy.value = true;
  const given = sent();
  await state.attempt("playground", async () => {
    const answer = await ask("POST", "playground", question());
    shown.value = { inputs: given, outputs: answer.models };
  }).finally(() => (busy.value = false));
}

const keys = (event) => {
  if (event.key === "Enter" && (event.ctrlKey || event.metaKey)) event.preventDefault(), run();
};

export class Try extends Component {
  componentDidMount() {
    if (this.props.wanted) chosen.value = [this.props.wanted];
    addEventListener("keydown", keys);
  }

  componentWillUnmount() {
    removeEventListener("keydown", keys);
  }

  render() {
    const text = lacking() && missing.value;
    return html`<div class="playground">
      <section aria-label="Inputs">
        <${Inputs} />
        <h2>Models</h2>
        <div class="chips" role="group" aria-label="Models">
          ${state.models.value.filter((one) => !one.external?.example && one.vector !== "score").map(
            ({ name }) => html`<button aria-pressed=${names().includes(name)} onClick=${() => toggle(name)}><${Name} name=${name} /></button>`,
          )}
        </div>
        <div class="buttons">
          <button class="main" onClick=${run} disabled=${busy.value} title="Ctrl+Enter">${busy.value ? "Embedding …" : "Embed"}</button>
          <${Choice} label="Direction" options=${DIRECTIONS} value=${direction.value} onChange=${(value) => (direction.value = value)} />
        </div>
        <p class="dim small hint">${text ? html`<span class="bad" role="alert">${text}</span>` : html`<kbd>Ctrl</kbd> <kbd>Enter</kbd> embeds, too.
          ${!lacking() && html` <${CopyButton} text=${() => curl("POST", "/inference/playground", question())} what="the request as curl" label="Copy as curl" />`}`}</p>
      </section>
      <section aria-label="Results" aria-live="polite" aria-busy=${busy.value}>
        ${shown.value ? html`<${Results} ...${shown.value} />` : html`<p class="empty">Tokens, vectors and similarities appear here.</p>`}
      </section>
    </div>`;
  }
}

function Results({ inputs, outputs }) {
  const kindOf = (output) => state.models.value.find((one) => one.name === output.model)?.vector;
  const sparse = outputs.filter((output) => kindOf(output) === "sparse");
  const others = outputs.filter((output) => kindOf(output) !== "sparse");
  return html`
    <${Similarities} inputs=${inputs} outputs=${outputs} />
    ${others.map((output) => html`<${Result} key=${output.model} output=${output} inputs=${inputs} />`)}
    <div class="beside">${sparse.map((output) => html`<${Result} key=${output.model} output=${output} inputs=${inputs} />`)}</div>
  `;
}

function Result({ output, inputs }) {
  return html`<article class="result" aria-label=${output.model}>
    <header>
      <h3><${Name} name=${output.model} /></h3>
      ${!output.error && html`<span class="dim">${full(output.tokens)} tokens in ${ms(output.time_ms)}</span>`}
    </header>
    ${output.error && html`<p class="bad" role="alert">${output.error}</p>`}
    ${!output.error && !output.outputs.length && html`<p class="dim">This model reads none of these inputs.</p>`}
    ${output.outputs.map((one) => html`<div class="output" key=${one.input}>
      <${Tokens} input=${inputs[one.input]} order=${one.input + 1} output=${one} />
      ${one.error ? html`<p class="bad" role="alert">Input ${one.input + 1}: ${one.error}</p>` : html`<${Vector} output=${one} model=${output.model} />`}
    </div>`)}
  </article>`;
}

function Vector({ output, model }) {
  const { dense, multivector, sparse, input } = output;
  const vector = dense ?? multivector?.rows ?? { indices: sparse.indices, values: sparse.values };
  return html`<div class="vector">
    ${dense && html`<${Heat} rows=${[dense]} label=${`Dense vector of ${dense.length} numbers`} />`}
    ${multivector && html`<${Heat} rows=${multivector.rows} label=${`${multivector.shape[0]} vectors of ${multivector.shape[1]} numbers, one for each token`} />`}
    ${sparse && html`<${Words} sparse=${sparse} colour=${state.colourOf(model)} />`}
    <${CopyButton} text=${() => JSON.stringify(vector)} what=${`the vector of input ${input + 1} by ${model}`} label="Copy vector" />
  </div>`;
}
