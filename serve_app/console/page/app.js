// The frame around the views: navigation, who is in, what is wrong.
import { key } from "./api.js";
import { KeyDialog } from "./key_dialog.js";
import { ConfirmDialog } from "./confirm_dialog.js";
import { short } from "./format.js";
import { effect, html, render } from "./lib.js";
import * as state from "./state.js";
import { Examples } from "./views/examples.js";
import { Live } from "./views/live.js";
import { Models } from "./views/models.js";
import { Playground } from "./views/playground.js";
import { Usage } from "./views/usage.js";

const VIEWS = {
  models: ["Models", Models],
  usage: ["Usage", Usage],
  live: ["Live", Live],
  examples: ["Examples", Examples],
  playground: ["Playground", Playground],
};

function App() {
  const [title, View] = VIEWS[state.route.value.view] ?? VIEWS.models;
  document.title = `${title} · Inference`;
  return html`
    <a class="skip" href="#main" onClick=${skip}>Skip to the content</a>
    <header class="bar">
      <span class="brand"><img src="icon.svg" alt="" width="18" height="18" />Inference</span>
      <nav aria-label="Views">
        ${Object.entries(VIEWS).map(
          ([name, [label]]) =>
            html`<a href=${`#/${name}`} aria-current=${label === title ? "page" : undefined}>${label}</a>`,
        )}
        <a href="docs">API</a>
      </nav>
      <${Pulse} />
      <button class="quiet" onClick=${state.toggleTheme} aria-pressed=${state.dark.value}>
        ${state.dark.value ? "Light" : "Dark"}<span class="sr"> colours</span>
      </button>
      ${key.get() && html`<button class="quiet" onClick=${state.leave}>Forget key</button>`}
    </header>
    <main id="main" tabindex="-1">
      <h1 class="sr">${title}</h1>
      <${Warnings} />
      ${state.isIn() ? html`<${View} />` : html`<p class="empty">${state.access.value ? "This service needs a key." : "Loading …"}</p>`}
    </main>
    <p class="note" role="status">${state.said.value}</p>
    <${KeyDialog} />
    <${ConfirmDialog} />
  `;
}

function skip(event) {
  event.preventDefault();
  document.getElementById("main").focus();
}

/** Tokens per second, always in sight. */
function Pulse() {
  const total = state.live.value?.total;
  if (!total) return null;
  return html`<a class="pulse" href="#/live" title="Tokens per second, mean of the last ten seconds">
    <b>${short(total.tokens_per_s)}</b> tokens/s
  </a>`;
}

function Warnings() {
  const ledger = state.live.value?.ledger;
  const off = state.settings.value?.inference === false;
  return html`
    ${[...new Set(Object.values(state.troubles.value))].map(
      (text) => html`<p class="warning" role="alert" key=${text}>
        ${text} <button class="quiet" onClick=${() => (state.troubles.value = {})}>Close</button>
      </p>`,
    )}
    ${ledger?.behind &&
    html`<p class="warning">
      <span role="alert">The ledger cannot reach its database. Inference goes on, and usage waits in memory.</span>
      ${" "}So far ${Math.round(ledger.behind_s)} s and ${short(ledger.waiting_tokens)} tokens.
    </p>`}
    ${ledger?.split &&
    html`<p class="warning" role="alert">
      The ledger is in SQLite, but Ray has several nodes: each node counts for itself, and a switch reaches the ingress replicas of one node only.
      Set QDRANT_INFERENCE_DATABASE_URL to a PostgreSQL database.
    </p>`}
    ${off && html`<p class="warning" role="alert">Inference is switched off for all models.</p>`}
  `;
}

/** A file that is dropped beside a field would take the page away. */
function stay(event) {
  if (event.dataTransfer.types.includes("Files") && !event.target.matches?.("input")) event.preventDefault();
}

addEventListener("dragover", stay);
addEventListener("drop", stay);
effect(() => render(html`<${App} />`, document.getElementById("app")));
state.comeIn();
state.keepFresh();
