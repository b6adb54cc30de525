// Search one of the collections, and see the request that did it.
import { answer, ask } from "../api.js";
import { fits, isNamedAfter, vectorsOf } from "../collection_vectors.js";
import { curl } from "../curl.js";
import { highlighted } from "../highlight.js";
import { batch, Component, html, signal } from "../lib.js";
import { Choice, CopyButton } from "../parts.js";
import * as state from "../state.js";
import { Filters, filters } from "./filters.js";
import { Found } from "./found.js";
import { isInField, read } from "./inputs.js";
import { ALL, bodyOf, fieldsOf, samplesOf } from "./search_request.js";

const SAMPLE = 24;
const KINDS = { text: "Text", image: "Image" };
const FUSED = "All (RRF)";

const collection = signal(null);
const vectors = signal([]);
const points = signal([]); // some of the collection's
const using = signal(ALL);
const model = signal(null);
const kind = signal("text");
const text = signal("");
const image = signal(null);
const found = signal(null);
const busy = signal(false);

/** Models of a kind of input whose vectors fit, the one that the vector is named after first. */
function fitting(vector, modality = kind.value) {
  const named = (one) => (isNamedAfter(vector, one) ? 0 : 1);
  return state.models.value.filter((one) => one.reads.includes(modality) && fits(vector, one)).toSorted((a, b) => named(a) - named(b));
}

/** The vectors that can be searched with the kind of input. */
const searchable = () => vectors.value.filter((vector) => fitting(vector).length);
const hasKind = (one) => vectors.value.some((vector) => fitting(vector, one).length);

async function choose(name) {
  collection.value = name;
  found.value = null;
  filters.value = [];
  points.value = [];
  await state.attempt("collection", async () => {
    const path = `../collections/${encodeURIComponent(name)}`;
    const { config } = await ask("GET", path);
    if (collection.value !== name) return;
    vectors.value = vectorsOf(config.params);
    chooseKind(hasKind(kind.value) || !hasKind("image") ? kind.value : "image");
    const some = await ask("POST", `${path}/points/scroll`, { limit: SAMPLE, with_payload: true, with_vector: false });
    if (collection.value === name) points.value = some.points ?? [];
  });
}

function chooseKind(one) {
  kind.value = one;
  const names = searchable().map((vector) => vector.name);
  chooseVector(names.length > 1 ? ALL : names[0]);
}

function chooseVector(name) {
  using.value = name;
  const vector = searchable().find((one) => one.name === name);
  model.value = vector ? fitting(vector)[0].name : null;
}

function chooseImage([file]) {
  image.value = null;
  return state.attempt("images", async () => file && (image.value = await read(file)));
}

/** Which vectors are searched, and by which model. */
function parts() {
  if (using.value === ALL) return searchable().map((vector) => ({ using: vector.name, model: fitting(vector)[0].name }));
  return model.value ? [{ using: using.value, model: model.value }] : [];
}

function body() {
  const object = kind.value === "image" ? { image: image.value?.image ?? "" } : { text: text.value };
  return bodyOf({ parts: parts(), object, filters: filters.value });
}

const path = () => `/collections/${encodeURIComponent(collection.value)}/points/query`;

async function search(event) {
  event?.preventDefault();
  if (busy.value || !parts().length) return;
  busy.value = true;
  const began = performance.now();
  const [first] = parts();
  const colour = using.value === ALL ? "var(--ink)" : state.colourOf(first.model);
  try {
    const { result, time, usage } = await answer("POST", `..${path()}`, body());
    const used = Object.values(usage?.inference?.models ?? {}).map((one) => one.tokens);
    const tokens = used.length ? used.reduce((sum, one) => sum + one, 0) : null;
    found.value = { points: result.points, took: performance.now() - began, time, tokens, error: null, colour };
  } catch (error) {
    found.value = { points: [], error: error.message };
  } finally {
    busy.value = false;
  }
}

function searchFor(sample) {
  text.value = sample;
  search();
}

/** An image that is dropped or pasted anywhere is the query, where the collection has images. */
function taken(files) {
  if (!files.length || !hasKind("image")) return;
  batch(() => {
    if (kind.value !== "image") chooseKind("image");
    chooseImage(files);
  });
}
const dropped = (event) => isInField(event) || taken(event.dataTransfer.files);
const pasted = (event) => taken(event.clipboardData.files);

export class Search extends Component {
  componentDidMount() {
    addEventListener("drop", dropped);
    addEventListener("paste", pasted);
    this.componentDidUpdate();
  }

  componentDidUpdate() {
    if (!collection.value && state.collections.value.length) choose(state.collections.value[0]);
  }

  componentWillUnmount() {
    removeEventListener("drop", dropped);
    removeEventListener("paste", pasted);
    state.forget("images");
  }

  render() {
    if (!state.collections.value.length)
      return html`<p class="empty">${state.isForSome() ? "This service cannot list the collections of this token." : "No collections yet. The examples create one."}</p>`;
    const names = searchable().map((one) => one.name);
    const vector = searchable().find((one) => one.name === using.value);
    const several = names.length > 1 ? [[ALL, FUSED]] : [];
    return html`<div class="playground searching">
      <form aria-label="Search" onSubmit=${search} onKeyDown=${(event) => event.key === "Enter" && (event.ctrlKey || event.metaKey) && search(event)}>
        <${Select} label="Collection" value=${collection.value} options=${state.collections.value.map((name) => [name, name])} onChange=${choose} />
        ${hasKind("text") && hasKind("image") && html`<${Choice} label="Query by" options=${KINDS} value=${kind.value} onChange=${chooseKind} />`}
        ${kind.value === "image" ? html`<${ImageQuery} />` : html`<${TextQuery} />`}
        <div class="pair">
          <${Select} label="Vector" value=${using.value} options=${[...several, ...names.map((name) => [name, name || "(no name)"])]} onChange=${chooseVector} />
          ${vector && html`<${Select} label="Model" value=${model.value} options=${fitting(vector).map(({ name }) => [name, name])} onChange=${(name) => (model.value = name)} />`}
        </div>
        ${vectors.value.length > 0 && !names.length && html`<p class="bad">No model here makes such vectors.</p>`}
        <${Filters} fields=${fieldsOf(points.value)} />
        <p class="buttons"><button class="main" disabled=${busy.value || !parts().length}>${busy.value ? "Searching …" : "Search"}</button></p>
      </form>
      <${Request} />
      <section class="results" aria-label="Results" aria-live="polite">
        ${found.value ? html`<${Found} ...${found.value} />` : html`<p class="empty">Results appear here.</p>`}
      </section>
    </div>`;
  }
}

function TextQuery() {
  const samples = samplesOf(points.value);
  return html`<label>Query <input type="search" value=${text.value} required onInput=${(event) => (text.value = event.target.value)} /></label>
    ${samples.length > 0 && html`<p class="samples"><span class="dim small">Try</span>
      ${samples.map((sample) => html`<button type="button" onClick=${() => searchFor(sample)}>${sample}</button>`)}</p>`}`;
}

function ImageQuery() {
  return html`<label>Image <input type="file" accept="image/*" required=${!image.value} onChange=${(event) => chooseImage(event.target.files)} /></label>
    ${image.value ? html`<img class="preview" src=${image.value.shown} alt=${image.value.name} />` : html`<p class="dim small">or drop or paste one</p>`}`;
}

/** `options`: [[value, label]], values of any kind. */
function Select({ label, value, options, onChange }) {
  return html`<label>${label}
    <select onChange=${(event) => onChange(options[event.target.selectedIndex][0])}>
      ${options.map(([one, text]) => html`<option selected=${one === value}>${text}</option>`)}
    </select>
  </label>`;
}

/** The request as it is sent; only an image's base64 is shortened for the eye. */
function Request() {
  if (!parts().length) return null;
  const whole = body();
  const shown = JSON.stringify(whole, null, 2).replace(/("image": "[^"]{40})[^"]+/g, "$1…");
  return html`<section class="request" aria-label="The request as it is sent"><h2>The request</h2>
    <div class="code">
      <span class="copies"><${CopyButton} text=${curl("POST", path(), whole)} what="the request as curl" label="Copy as curl" /><${CopyButton} text=${JSON.stringify(whole, null, 2)} what="the request" /></span>
      <pre tabindex="0" role="group" aria-label="The request"><code>${`POST ${path()}\n\n`}${highlighted(shown, "json")}</code></pre>
    </div></section>`;
}
