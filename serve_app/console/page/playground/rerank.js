// Documents in the order of how well they answer a query.
import { answer } from "../api.js";
import { curl } from "../curl.js";
import { full, ms } from "../format.js";
import { Component, html, signal } from "../lib.js";
import { CopyButton } from "../parts.js";
import * as state from "../state.js";

const PATH = "/v2/rerank";

const model = signal(null);
const query = signal("How do I bake chocolate chip cookies?");
const documents = signal("Change the oil of your car every year\nA recipe for biscuits with pieces of chocolate\nThe capital of France is Paris");
const ranked = signal(null);
const busy = signal(false);

export const rerankers = () => state.models.value.filter((one) => one.vector === "score");
const chosen = () => model.value ?? rerankers()[0]?.name;
const sent = () => documents.value.split("\n").filter((line) => line.trim());
const body = () => ({ model: chosen(), query: query.value, documents: sent() });

async function run(event) {
  event.preventDefault();
  if (busy.value || !sent().length) return;
  busy.value = true;
  const [asked, began] = [body(), performance.now()];
  try {
    const { results, usage } = await answer("POST", `..${PATH}`, asked);
    ranked.value = { asked, results, tokens: usage.total_tokens, took: performance.now() - began };
  } catch (error) {
    ranked.value = { error: error.message };
  } finally {
    busy.value = false;
  }
}

export class Rerank extends Component {
  componentDidMount() {
    if (this.props.wanted) model.value = this.props.wanted;
  }

  render() {
    return html`<div class="playground searching">
      <form aria-label="Rerank" onSubmit=${run} onKeyDown=${(event) => event.key === "Enter" && (event.ctrlKey || event.metaKey) && run(event)}>
        <label>Query <input type="search" required value=${query.value} onInput=${(event) => (query.value = event.target.value)} /></label>
        <label>Documents, one a line
          <textarea rows="8" required value=${documents.value} onInput=${(event) => (documents.value = event.target.value)}></textarea></label>
        <label>Model
          <select onChange=${(event) => (model.value = event.target.value)}>
            ${rerankers().map(({ name }) => html`<option value=${name} selected=${name === chosen()}>${name}</option>`)}
          </select></label>
        <p class="buttons"><button class="main" disabled=${busy.value}>${busy.value ? "Ranking …" : "Rank"}</button>
          <${CopyButton} text=${() => curl("POST", PATH, body())} what="the request as curl" label="Copy as curl" /></p>
      </form>
      <section class="results" aria-label="Results" aria-live="polite" aria-busy=${busy.value}>
        ${ranked.value ? html`<${Ranked} ...${ranked.value} />` : html`<p class="empty">The documents appear here, the best first.</p>`}
      </section>
    </div>`;
  }
}

function Ranked({ asked, results, tokens, took, error }) {
  if (error) return html`<p class="warning" role="alert">${error}</p>`;
  const colour = state.colourOf(asked.model);
  return html`
    <p class="dim">${full(results.length)} documents in ${ms(took)}; ${full(tokens)} tokens</p>
    <ol class="found">
      ${results.map(({ index, relevance_score: score }) => html`<li key=${index}>
        <span class="score"><b>${score.toFixed(3)}</b><i style=${{ width: `${score * 100}%`, background: colour }}></i></span>
        <div><span class="dim small">document ${index + 1}</span><p>${asked.documents[index]}</p></div>
      </li>`)}
    </ol>
  `;
}
