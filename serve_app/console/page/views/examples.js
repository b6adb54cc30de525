// Programs to copy, filled with a model's real name, its dimensions and this server's address.
import { ask } from "../api.js";
import { fits, isNamedAfter, vectorsOf } from "../collection_vectors.js";
import { sides, valuesFor } from "../example_values.js";
import { highlighted } from "../highlight.js";
import { Component, html, signal } from "../lib.js";
import { LITERALS } from "../literals.js";
import { Choice, CopyButton } from "../parts.js";
import * as state from "../state.js";
import { fill, steps } from "../template.js";

const LANGUAGES = {
  http: "HTTP",
  curl: "curl",
  python: "Python",
  typescript: "TypeScript",
  rust: "Rust",
  java: "Java",
  csharp: "C#",
  go: "Go",
};

const language = signal("python");
const collection = signal("");
const grpcPort = signal(null);
const templates = signal({});
const layouts = signal({}); // the vectors of collections by name; null while they are asked for

async function fetchTemplate(name) {
  const response = await fetch(`examples/${name}.txt`);
  templates.value = { ...templates.value, [name]: await response.text() };
}

function choose(name) {
  language.value = name;
  if (!templates.value[name]) fetchTemplate(name);
}

/** The collection's name until somebody writes one. */
const standIn = (model) => `my-${shortOf(model).replace(/-(text|vision)$/, "")}`;
const shortOf = ({ name, external }) => (external?.example?.model ?? name).split("/").at(-1);
const nameFor = (model) => collection.value || standIn(model);
const isThere = (name) => state.collections.value.includes(name);

function look(name) {
  layouts.value = { ...layouts.value, [name]: null };
  return state.attempt("collection", async () => {
    const { config } = await ask("GET", `../collections/${encodeURIComponent(name)}`);
    layouts.value = { ...layouts.value, [name]: vectorsOf(config.params) };
  });
}

/** The vector that a model may be used with, one that is named after it first. */
function vectorFor(model, vectors) {
  const fitting = vectors.filter((vector) => fits(vector, model));
  return fitting.find((vector) => isNamedAfter(vector, model)) ?? fitting[0];
}

export class Examples extends Component {
  componentDidMount() {
    choose(language.value);
    layouts.value = {};
  }

  render() {
    const models = state.models.value;
    if (!models?.length) return html`<p class="empty">Loading …</p>`;
    const model = models.find((one) => one.name === state.route.value.query.model) ?? models[0];
    return html`
      <div class="controls">
        <label>Model
          <select value=${model.name} onChange=${(event) => (location.hash = `#/examples?model=${encodeURIComponent(event.target.value)}`)}>
            ${models.map(({ name }) => html`<option value=${name} selected=${name === model.name}>${name}</option>`)}
          </select>
        </label>
        <label>Collection
          <input value=${collection.value} placeholder=${standIn(model)} spellcheck=${false} list="known"
            onInput=${(event) => (collection.value = event.target.value)} />
          <datalist id="known">${state.collections.value.map((name) => html`<option value=${name} />`)}</datalist>
        </label>
        <label>gRPC port
          <input type="number" min="1" max="65535" class="port" value=${port()}
            onInput=${(event) => (grpcPort.value = event.target.valueAsNumber || null)} />
        </label>
      </div>
      <div class="controls">
        <${Choice} label="Language" options=${LANGUAGES} value=${language.value} onChange=${choose} />
      </div>
      <${Program} model=${model} models=${models} />
    `;
  }
}

/** Where the SDKs that speak gRPC find this service: as somebody wrote, as it says, or where Qdrant would be. */
const port = () => grpcPort.value ?? state.access.value.grpc_port ?? 6334;

class Program extends Component {
  componentDidMount() {
    this.componentDidUpdate();
  }

  componentDidUpdate() {
    const name = nameFor(this.props.model);
    if (isThere(name) && !(name in layouts.value)) look(name);
  }

  render({ model, models }) {
    const template = templates.value[language.value];
    const name = nameFor(model);
    if (!template || (isThere(name) && !layouts.value[name])) return html`<p class="empty">Loading …</p>`;
    const vector = isThere(name) ? vectorFor(sides(model, models)[0], layouts.value[name]) : null;
    if (vector === undefined)
      return html`<p class="bad" role="alert">The collection ${name} has no vector that fits ${model.name}. Enter another name for an example that creates one.</p>`;
    const values = valuesFor(model, models, { collection: name, existing: vector?.name, grpcPort: port(), needsKey: state.access.value.key_needed });
    return html`
      <${Remark} values=${values} />
      ${steps(fill(template, values, LITERALS[language.value])).map(
        ({ title, code }) => html`<section class="step" key=${title}>
          <h2>${title}</h2>
          <div class="code">
            <${CopyButton} text=${code} what=${title} />
            <pre tabindex="0" role="group" aria-label=${title}><code>${highlighted(code)}</code></pre>
          </div>
        </section>`,
      )}
    `;
  }
}

function Remark({ values }) {
  const remarks = [
    values.image && `${values.model} embeds the images, ${values.query_model} the texts that search them: their vectors share one space.`,
    !values.new && `${values.collection} exists. The example overwrites its points 0 and 1.`,
    values.new && values.sparse && `Sparse vectors need a name.${values.idf ? " This model needs the modifier idf, too: Qdrant then gives rare words more weight." : ""}`,
    values.new && values.multivector && "Late interaction keeps one vector for each token; Qdrant compares them with max_sim.",
    values.option && `The key for the provider is yours: the programs read it from the environment variable ${values.option_env}, and this page never asks for it. As a header, ${values.option} does as well.`,
    values.key && "The programs read the key from the environment variable QDRANT_API_KEY.",
  ];
  return remarks.filter(Boolean).map((text) => html`<p class="dim">${text}</p>`);
}
