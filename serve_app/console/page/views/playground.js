// Try models on texts and images; search a collection.
import { html } from "../lib.js";
import { Choice } from "../parts.js";
import { Search } from "../playground/search.js";
import { Try } from "../playground/try.js";
import * as state from "../state.js";

const TABS = { try: "Embed and compare", search: "Search a collection" };

export function Playground() {
  if (!state.models.value?.length) return html`<p class="empty">Loading …</p>`;
  const tab = state.route.value.query.tab === "search" ? "search" : "try";
  const choose = (next) => (location.hash = `#/playground?tab=${next}`);
  return html`
    <div class="controls"><${Choice} label="What to do" options=${TABS} value=${tab} onChange=${choose} /></div>
    ${tab === "search" ? html`<${Search} />` : html`<${Try} wanted=${state.route.value.query.model} />`}
  `;
}
