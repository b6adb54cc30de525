// Try models on texts and images; search a collection; put documents in order.
import { html } from "../lib.js";
import { Choice } from "../parts.js";
import { Rerank, rerankers } from "../playground/rerank.js";
import { Search } from "../playground/search.js";
import { Try } from "../playground/try.js";
import * as state from "../state.js";

const TABS = { try: "Embed and compare", search: "Search a collection", rerank: "Rerank" };
const VIEWS = { try: Try, search: Search, rerank: Rerank };

/** A reranker is tried nowhere else; without one there is nothing to try. */
const tabs = () => Object.fromEntries(Object.entries(TABS).filter(([name]) => name !== "rerank" || rerankers().length));

export function Playground() {
  if (!state.models.value?.length) return html`<p class="empty">Loading …</p>`;
  const { tab: asked, model } = state.route.value.query;
  const isReranker = rerankers().some((one) => one.name === model);
  const tab = isReranker ? "rerank" : Object.hasOwn(tabs(), asked ?? "") ? asked : "try";
  const choose = (next) => (location.hash = `#/playground?tab=${next}`);
  return html`
    <div class="controls"><${Choice} label="What to do" options=${tabs()} value=${tab} onChange=${choose} /></div>
    <${VIEWS[tab]} wanted=${model} />
  `;
}
