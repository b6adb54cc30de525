// What the chosen models make of the inputs.
import { ask } from "../api.js";
import { ms, full } from "../format.js";
import { Component, html, signal } from "../lib.js";
import { Choice, Name } from "../parts.js";
import * as state from "../state.js";
import { asked, inputs, Inputs, isEmpty } from "./inputs.js";
import { Similarities } from "./similarity.js";
import { Tokens } from "./tokens.js";
import { Heat, Words } from "./vectors.js";

const DIRECTIONS = { search: "as queries", update: "as passages" };

const chosen = signal(null);
const direction = signal("search");
const shown = signal(null);
const busy = signal(false);

/** Every model that is ready, runs here and has something to read, until somebody chooses: others cost somebody's money. */
const names = () => chosen.value ?? state.models.value.filter((one) => one.state === "ready" && !one.external && hasFor(one)).map((one) => one.name);
const hasFor = (model) => model.modality === "text" || inputs.value.some((one) => one.image);

function toggle(name) {
  const now = names();
  chosen.value = now.includes(name) ? now.filter((other) => other !== name) : [...now, name];
}

async function run() {
  const sent = inputs.value.filter((one) => !isEmpty(one));
  if (!sent.length || !names().length || busy.value) return;
  busy.value = true;
  await state.attempt("playground", async () => {
    const ordered = state.models.value.map((one) => one.name).filter((name) => names().includes(name));
    const answer = await ask("POST", "playground", { inputs: sent.map(asked), models: ordered, direction: direction.value });
    shown.value = { inputs: sent, outputs: answer.models };
  }).finally(() => (busy.value = false));
}

export class Try extends Component {
  componentDidMount() {
    if (this.props.wanted) chosen.value = [this.props.wanted];
  }

  render() {
    return html`<div class="playground">
      <section aria-label="Inputs">
        <${Inputs} onEnter=${run} />
        <h2>Models</h2>
        <div class="chips" role="group" aria-label="Models">
          ${state.models.value.filter((one) => !one.external?.example).map(
            ({ name }) => html`<button aria-pressed=${names().includes(name)} onClick=${() => toggle(name)}><${Name} name=${name} /></button>`,
          )}
        </div>
        <div class="buttons">
          <button class="main" onClick=${run} disabled=${busy.value}>${busy.value ? "Embedding …" : "Embed"}</button>
          <${Choice} label="Direction" options=${DIRECTIONS} value=${direction.value} onChange=${(value) => (direction.value = value)} />
        </div>
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
    ${output.outputs.map(
      (one) => html`<div class="output" key=${one.input}>
        <${Tokens} input=${inputs[one.input]} order=${one.input + 1} output=${one} />
        ${one.dense && html`<${Heat} rows=${[one.dense]} label=${`Dense vector of ${one.dense.length} numbers`} />`}
        ${one.multivector && html`<${Heat} rows=${one.multivector.rows} label=${`${one.multivector.shape[0]} vectors of ${one.multivector.shape[1]} numbers, one for each token`} />`}
        ${one.sparse && html`<${Words} sparse=${one.sparse} colour=${state.colourOf(output.model)} />`}
      </div>`,
    )}
  </article>`;
}
