// Search one of the collections, and see the request that did it.
import { answer, ask } from "../api.js";
import { fits, isNamedAfter, vectorsOf } from "../collection_vectors.js";
import { full, ms, NONE } from "../format.js";
import { highlighted } from "../highlight.js";
import { Component, html, signal } from "../lib.js";
import { CopyButton } from "../parts.js";
import * as state from "../state.js";
import { read } from "./inputs.js";

const LIMIT = 10;
const SHOWN = 60;

const collection = signal(null);
const vectors = signal([]);
const using = signal(null);
const model = signal(null);
const text = signal("");
const image = signal(null);
const found = signal(null);
const busy = signal(false);

/** Models whose vectors fit, the one that the vector is named after first. */
function fitting(vector) {
  if (!vector) return [];
  const named = (one) => (isNamedAfter(vector, one) ? 0 : 1);
  const reads = (one) => (one.modality === "text" ? 0 : 1);
  return state.models.value.filter((one) => fits(vector, one)).toSorted((a, b) => named(a) - named(b) || reads(a) - reads(b));
}

async function choose(name) {
  collection.value = name;
  found.value = null;
  await state.attempt("collection", async () => {
    vectors.value = vectorsOf((await ask("GET", `../collections/${encodeURIComponent(name)}`)).config.params);
    chooseVector(vectors.value[0]?.name);
  });
}

function chooseVector(name) {
  using.value = name;
  model.value = fitting(vectors.value.find((one) => one.name === name))[0]?.name ?? null;
}

function chooseImage([file]) {
  image.value = null;
  return state.attempt("images", async () => file && (image.value = await read(file)));
}

const chosen = () => state.models.value.find((one) => one.name === model.value);
const readsImages = () => chosen()?.modality === "image";

function body() {
  const object = readsImages() ? { image: image.value?.image ?? "" } : { text: text.value };
  return {
    query: { ...object, model: model.value },
    ...(using.value && { using: using.value }),
    with_payload: true,
    limit: LIMIT,
  };
}

const path = () => `/collections/${encodeURIComponent(collection.value)}/points/query`;

async function search(event) {
  event.preventDefault();
  busy.value = true;
  const sent = body();
  const began = performance.now();
  try {
    const { result, time, usage } = await answer("POST", `..${path()}`, sent);
    const took = performance.now() - began;
    found.value = { points: result.points, took, time, tokens: usage?.inference?.models?.[sent.query.model]?.tokens, error: null };
  } catch (error) {
    found.value = { points: [], error: error.message };
  } finally {
    busy.value = false;
  }
}

export class Search extends Component {
  componentDidMount() {
    if (!collection.value && state.collections.value.length) choose(state.collections.value[0]);
  }

  componentDidUpdate() {
    this.componentDidMount();
  }

  render() {
    if (!state.collections.value.length)
      return html`<p class="empty">${state.isForSome() ? "This service cannot list the collections of this token." : "No collections yet. The examples create one."}</p>`;
    const vector = vectors.value.find((one) => one.name === using.value);
    return html`<div class="playground">
      <form aria-label="Search" onSubmit=${search}>
        <${Select} label="Collection" value=${collection.value} options=${state.collections.value} onChange=${choose} />
        <${Select} label="Vector" value=${using.value} options=${vectors.value.map((one) => one.name)} onChange=${chooseVector} />
        ${fitting(vector).length
          ? html`<${Select} label="Model" value=${model.value} options=${fitting(vector).map((one) => one.name)} onChange=${(name) => (model.value = name)} />`
          : html`<p class="bad">No model here makes such vectors.</p>`}
        ${readsImages()
          ? html`<label>Image <input type="file" accept="image/*" required onChange=${(event) => chooseImage(event.target.files)} /></label>
              ${image.value && html`<img class="preview" src=${image.value.shown} alt=${image.value.name} />`}`
          : html`<label>Query <input type="search" value=${text.value} required onInput=${(event) => (text.value = event.target.value)} /></label>`}
        <p class="buttons"><button class="main" disabled=${busy.value || !model.value}>${busy.value ? "Searching …" : "Search"}</button></p>
        <${Request} />
      </form>
      <section aria-label="Results" aria-live="polite">
        ${found.value ? html`<${Found} ...${found.value} />` : html`<p class="empty">Results appear here.</p>`}
      </section>
    </div>`;
  }
}

function Select({ label, value, options, onChange }) {
  return html`<label>${label}
    <select value=${value} onChange=${(event) => onChange(event.target.value)}>
      ${options.map((one) => html`<option value=${one} selected=${one === value}>${one || "(no name)"}</option>`)}
    </select>
  </label>`;
}

/** The request as it is sent; only an image's base64 is shortened for the eye. */
function Request() {
  if (!model.value) return null;
  const whole = JSON.stringify(body(), null, 2);
  const shown = whole.replace(/("image": "[^"]{40})[^"]+/, "$1…");
  return html`<h2>The request</h2>
    <div class="code">
      <${CopyButton} text=${whole} what="the request" />
      <pre tabindex="0" role="group" aria-label="The request"><code>${`POST ${path()}\n\n`}${highlighted(shown)}</code></pre>
    </div>`;
}

function Found({ points, took, time, tokens, error }) {
  if (error) return html`<p class="warning" role="alert">${error}</p>`;
  const most = Math.max(...points.map((point) => Math.abs(point.score)), 1e-9);
  return html`
    <p class="dim">${full(points.length)} points in ${ms(took)}, of which ${ms(time * 1000)} in Qdrant; ${tokens ?? NONE} tokens</p>
    <ol class="found">
      ${points.map(
        (point) => html`<li key=${point.id}>
          <span class="score"><b>${point.score.toFixed(3)}</b><i style=${{ width: `${(Math.abs(point.score) / most) * 100}%`, background: state.colourOf(model.value) }}></i></span>
          <div><${Payload} point=${point} /></div>
        </li>`,
      )}
    </ol>
    ${!points.length && html`<p class="empty">No points found.</p>`}
  `;
}

function Payload({ point }) {
  const entries = Object.entries(point.payload ?? {});
  return html`<span class="dim small">id ${point.id}</span>
    <dl>${entries.map(([name, value]) => html`<div><dt>${name}</dt><dd>${cut(typeof value === "string" ? value : JSON.stringify(value))}</dd></div>`)}</dl>`;
}

const cut = (value) => (value.length > SHOWN * 5 ? `${value.slice(0, SHOWN * 5)} …` : value);
