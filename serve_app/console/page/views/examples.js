// Programs to copy, filled with models' real names, their dimensions and this server's address.
import { ask } from "../api.js";
import { vectorFor, vectorsOf } from "../collection_vectors.js";
import { hybridValues, pair, rerankValues, sides, valuesFor } from "../example_values.js";
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
  openai: "OpenAI",
};
const BY_GRPC = ["rust", "java", "csharp", "go"];
const { openai: _, ...OF_RERANKERS } = LANGUAGES;
const WHATS = { search: "Store and search", hybrid: "Hybrid: meaning and words", images: "Images by text", rerank: "Rerank" };

const templates = signal({});
const layouts = signal({}); // the vectors of collections by name; null while they are asked for

async function fetchTemplate(name) {
  templates.value = { ...templates.value, [name]: null };
  const response = await fetch(`examples/${name}.txt`);
  templates.value = { ...templates.value, [name]: await response.text() };
}

/** What is chosen stands in the address, so that it can be kept and sent. */
const change = (values) => state.changeQuery({ ...chosen(), ...values });

function chosen() {
  const { model, language, what, collection, port } = state.route.value.query;
  return {
    model,
    language: Object.hasOwn(languages(what), language ?? "") ? language : "python",
    what: Object.hasOwn(WHATS, what ?? "") ? what : "search",
    collection: collection ?? "",
    port,
  };
}

const languages = (what) => (what === "rerank" ? OF_RERANKERS : LANGUAGES);

/** Where the SDKs that speak gRPC find this service: as somebody wrote, as it says, or where Qdrant would be. */
const portOf = ({ port }) => (port > 0 && port < 65536 ? Number(port) : (state.access.value.grpc_port ?? 6334));

/** The collection's name until somebody writes one. */
const standIn = (model, what) => (what === "hybrid" ? "my-hybrid" : `my-${shortOf(model).replace(/-(text|vision)$/, "")}`);
const shortOf = ({ name, external }) => (external?.example?.model ?? name).split("/").at(-1);
const isThere = (name) => state.collections.value.includes(name);

function look(name) {
  layouts.value = { ...layouts.value, [name]: null };
  return state.attempt("collection", async () => {
    const { config } = await ask("GET", `../collections/${encodeURIComponent(name)}`);
    layouts.value = { ...layouts.value, [name]: vectorsOf(config.params) };
  });
}

const hasVectors = (model) => model.vector !== "score";

/** Which of the examples a set of models has. */
function whats(models) {
  const has = {
    search: models.some(hasVectors),
    hybrid: models.some((one) => pair(one, models)),
    images: models.some((one) => one.modality === "image" && one.shared_with.length),
    rerank: models.some((one) => !hasVectors(one)),
  };
  return Object.fromEntries(Object.entries(WHATS).filter(([name]) => has[name]));
}

/** The models that an example may be about, and which of them it is. */
function modelFor({ what, model, language }, models) {
  const found = {
    search: models.filter(hasVectors),
    hybrid: models.filter((one) => pair(one, models)?.[one.vector] === one),
    images: models.filter((one) => one.modality === "image" && one.shared_with.length),
    rerank: models.filter((one) => !hasVectors(one)),
  }[what];
  const offered = language === "openai" ? found.filter((one) => one.vector === "dense" && one.modality === "text" && !one.external) : found;
  return [offered, offered.find((one) => one.name === model) ?? offered[0]];
}

export class Examples extends Component {
  componentDidMount() {
    layouts.value = {};
  }

  render() {
    const models = state.models.value;
    if (!models?.length) return html`<p class="empty">Loading …</p>`;
    const now = chosen();
    const offered = whats(models);
    if (now.language === "openai") now.what = "search";
    else if (!(now.what in offered)) now.what = Object.keys(offered)[0];
    const [choices, model] = modelFor(now, models);
    const collection = now.collection || (model && standIn(model, now.what));
    return html`
      <div class="controls">
        ${now.language !== "openai" && Object.keys(offered).length > 1 && html`<${Choice} label="Example" options=${offered} value=${now.what} onChange=${(what) => change({ what })} />`}
      </div>
      <div class="controls">
        <${Choice} label="Language" options=${languages(now.what)} value=${now.language} onChange=${(language) => change({ language })} />
      </div>
      <div class="controls">
        <label>Model
          <select value=${model?.name} onChange=${(event) => change({ model: event.target.value })}>
            ${choices.map(({ name }) => html`<option value=${name} selected=${name === model.name}>${name}</option>`)}
          </select>
        </label>
        ${now.language !== "openai" && now.what !== "rerank" && html`<label>Collection
          <input value=${now.collection} placeholder=${collection} spellcheck=${false} list="known"
            onInput=${(event) => change({ collection: event.target.value })} />
          <datalist id="known">${state.collections.value.map((name) => html`<option value=${name} />`)}</datalist>
        </label>`}
        ${BY_GRPC.includes(now.language) && now.what !== "rerank" && html`<label>gRPC port
          <input type="number" min="1" max="65535" class="port" value=${portOf(now)} onInput=${(event) => change({ port: event.target.value })} />
        </label>`}
      </div>
      ${model
        ? html`<${Program} ...${now} key=${now.what + now.language} model=${model} models=${models} collection=${collection} />`
        : html`<p class="empty">No model here has such an API.</p>`}
    `;
  }
}

class Program extends Component {
  componentDidMount() {
    this.componentDidUpdate();
  }

  componentDidUpdate() {
    const { collection } = this.props;
    if (!(template(this.props) in templates.value)) fetchTemplate(template(this.props));
    if (isThere(collection) && !(collection in layouts.value)) look(collection);
  }

  render(props) {
    const { language, what, collection } = props;
    const text = templates.value[template(props)];
    if (!text || (isThere(collection) && !layouts.value[collection])) return html`<p class="empty">Loading …</p>`;
    const values = filled(props);
    if (!values)
      return html`<p class="bad" role="alert">The collection ${collection} has no vector that fits ${what === "hybrid" ? "these models" : props.model.name}. Enter another name for an example that creates one.</p>`;
    return html`
      <${Remark} values=${values} language=${language} what=${what} />
      ${steps(fill(text, values, LITERALS[language])).map(
        ({ title, code }) => html`<section class="step" key=${title}>
          <h2>${title}</h2>
          <div class="code">
            <${CopyButton} text=${code} what=${title} />
            <pre tabindex="0" role="group" aria-label=${title}><code>${highlighted(code, title === "Install" ? "shell" : language)}</code></pre>
          </div>
        </section>`,
      )}
    `;
  }
}

/** The file of a template. */
const template = ({ language, what }) => (what === "rerank" ? `${what}/${language}` : language);

/** What the example is filled with; null if the collection is there and has no vector for it. */
function filled({ language, what, model, models, collection, port }) {
  const place = { collection, grpcPort: portOf({ port }), needsKey: state.access.value.key_needed };
  if (language === "openai") return valuesFor(model, models, place);
  if (what === "rerank") return rerankValues(model, place);
  const vectors = isThere(collection) ? layouts.value[collection] : null;
  if (what === "hybrid") {
    const both = pair(model, models);
    const [dense, sparse] = [both.dense, both.sparse].map((one) => vectors && vectorFor(one, vectors));
    if (!vectors) return hybridValues(both, place);
    return dense?.name && sparse ? hybridValues(both, { ...place, existing: { dense: dense.name, sparse: sparse.name } }) : null;
  }
  const vector = vectors && vectorFor(sides(model, models)[0], vectors);
  return vector === undefined ? null : valuesFor(model, models, { ...place, existing: vector?.name });
}

function Remark({ values, language, what }) {
  const remarks = [
    values.image && `${values.model} embeds the images, ${values.query_model} the texts that search them: their vectors share one space.`,
    what === "hybrid" && `${values.dense_model} finds by meaning, ${values.sparse_model} by words; Qdrant fuses both lists by rank (RRF).`,
    what === "rerank" && "A reranker reads the query and each document together: put what a search found into a better order with it. Qdrant's clients have no call for it; it is plain HTTP.",
    language !== "openai" && what !== "rerank" && !values.new && `${values.collection} exists. The example overwrites its points 0 and 1.`,
    values.new && values.sparse && what !== "hybrid" && `Sparse vectors need a name.${values.idf ? " This model needs the modifier idf, too: Qdrant then gives rare words more weight." : ""}`,
    values.new && values.multivector && "Late interaction keeps one vector for each token; Qdrant compares them with max_sim.",
    values.option && `The key for the provider is yours: the programs read it from the environment variable ${values.option_env}, and this page never asks for it. As a header, ${values.option} does as well.`,
    language === "openai" && "The service speaks OpenAI's embeddings API for dense models of text: any client of it works with another base_url.",
    language === "csharp" && `No test compiles the C# examples${what === "rerank" ? "." : ": their calls were compared with Qdrant's own snippets."}`,
    values.key && "The programs read the key from the environment variable QDRANT_API_KEY.",
  ];
  return remarks.filter(Boolean).map((text) => html`<p class="dim">${text}</p>`);
}
