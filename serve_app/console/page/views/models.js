// All models: what they are, how they are, what they took, and their switches.
import { bytes, full, money, NONE, percent, short } from "../format.js";
import { html, signal } from "../lib.js";
import { Bar, Name, Sparkline, Switch } from "../parts.js";
import * as state from "../state.js";
import { Additions, askToRemove, removable } from "./additions.js";

const opened = signal(null);
const COLUMNS = ["Model", "State", "Window", "Dimensions", "Price / 1M", "Last 30 days", "Free this month", "Now", "On"];
const OF_PRICES = ["Price / 1M", "Free this month"];
const columns = () => COLUMNS.filter((name) => state.hasPrices() || !OF_PRICES.includes(name));
const WHY_NOT = "why-not";
const KINDS = {
  dense: "dense",
  sparse: "sparse, learned",
  bm25: "sparse, BM25",
  bm42: "sparse, BM42",
  minicoil: "sparse, miniCOIL",
  "late-interaction": "late interaction",
  "clip-text": "CLIP, text side",
  "cross-encoder": "reranker",
  "clip-vision": "CLIP, image side",
  "text-image": "texts and images",
};

export function Models() {
  if (!state.models.value) return html`<p class="empty">Loading …</p>`;
  return html`
    <${Summary} />
    <${Health} />
    <table class="models" role="table">
      <colgroup>${columns().map((name) => html`<col class=${`of-${name.split(" ")[0].toLowerCase()}`} />`)}</colgroup>
      <thead role="rowgroup">
        <tr role="row">${columns().map((name) => html`<th role="columnheader" scope="col">${name}</th>`)}</tr>
      </thead>
      <tbody role="rowgroup">${state.models.value.map((model) => html`<${Row} key=${model.name} model=${model} />`)}</tbody>
    </table>
    <${Additions} />
    <${Collections} />
  `;
}

function Summary() {
  const total = state.month.value?.total;
  const ready = state.models.value.filter((model) => model.state === "ready").length;
  const figures = [
    [`${ready} of ${state.models.value.length}`, "models ready"],
    [short(total?.tokens), "tokens in 30 days"],
    [short(total?.requests), "requests"],
    ...(state.hasPrices() ? [[money(total?.cost), "cost"]] : []),
  ];
  const on = state.settings.value?.inference ?? true;
  return html`<section class="summary" aria-label="Summary">
    ${figures.map(([figure, label]) => html`<p><b>${figure}</b> ${label}</p>`)}
    <p class="all">
      Inference for all
      <${Switch} on=${on} label="Inference for all models" ...${admin()} onChange=${(next) =>
        turn({ inference: next }, next, "inference for all models", "Every request with an inference object")} />
    </p>
    <${WhyNot} />
  </section>`;
}

/** The parts of the service that are no models: one word for each, and what to do about those that are not well. */
function Health() {
  const health = state.health.value;
  if (!health) return null;
  const { qdrant, ledger, store, problems } = health;
  const parts = [
    [qdrant.ready, qdrant.kind === "embedded" ? "Embedded store" : "Qdrant", qdrant.ready ? qdrant.version && `version ${qdrant.version}` : "away"],
    [!ledger.behind && !ledger.split, "Ledger", ledger.behind ? "behind" : ledger.database === "sqlite" ? "SQLite" : "PostgreSQL"],
    ...(store ? [[!problems.some((one) => one.about === "store"), "Disk", `${bytes(store.bytes)} used, ${bytes(store.free_bytes)} free`]] : []),
  ];
  return html`<section class="health" aria-label="Health">
    <ul>${parts.map(([well, name, what]) => html`<li><span class=${`state ${well ? "ready" : "failed"}`}>${name}</span> <span class="dim">${what}</span></li>`)}</ul>
    ${problems.map((one) => html`<p class="warning" key=${one.about + one.to_do}><b>${PARTS[one.about] ?? one.about}:</b> ${one.what}. ${one.to_do}</p>`)}
  </section>`;
}

const PARTS = { qdrant: "Qdrant", ledger: "Ledger", store: "Store" };

/** What a switch says where the caller may not turn it: it points to the text of `WhyNot`. */
const admin = () => (state.access.value.may_change_settings ? {} : { whyNot: WHY_NOT });

function WhyNot() {
  const who = state.access.value;
  if (who.may_change_settings) return null;
  const missing = who.admin === "none";
  return html`<p class="why-not">
    <span id=${WHY_NOT}>${missing ? "Nobody can turn switches or add models until QDRANT_INFERENCE_ADMIN_KEY is set." : "You need the admin key to turn switches and to add models."}</span>
    ${!missing && html` <button onClick=${() => (state.askingAdmin.value = true)}>Enter admin key</button>`}
  </p>`;
}

const BY_OTHER_WAYS =
  "Requests by an alias stop some seconds later. A Qdrant server that asks this service for vectors does not say for which collection, and still gets them.";

function turn(change, on, what, who, more = "") {
  const act = async () => {
    if (await state.change(change)) state.say(`Switched ${on ? "on" : "off"}: ${what}`);
  };
  if (on) return act();
  state.confirming.value = {
    title: `Switch off ${what}?`,
    text: `${who} will fail with an error that says so, until you switch it on again. Requests in flight finish; requests without inference objects go on. ${more}`,
    verb: "Switch off",
    act,
  };
}

function Row({ model }) {
  const open = opened.value === model.name;
  const off = state.settings.value?.models[model.name] === false;
  const now = state.live.value?.models[model.name]?.tokens_per_s;
  const priced = state.hasPrices();
  return html`
    <tr role="row" class=${off ? "is-off" : ""}>
      <th role="rowheader" scope="row" data-label="Model">
        <button class="reveal" aria-expanded=${open} onClick=${() => (opened.value = open ? null : model.name)}>
          <${Name} name=${model.name} />
        </button>
        <span class="sub">${model.external ? `external, ${model.external.host}` : KINDS[model.family] ?? model.family} · ${model.licence}</span>
      </th>
      <td role="cell" data-label="State"><${State} model=${model} off=${off || state.settings.value?.inference === false} /></td>
      <td role="cell" data-label="Window" class="number">${windowOf(model)}</td>
      <td role="cell" data-label="Dimensions" class="number">${model.dimensions ?? (model.vector === "sparse" ? "sparse" : model.vector === "score" ? "score" : NONE)}</td>
      ${priced && html`<td role="cell" data-label="Price" class="number">${model.price_per_million_tokens ? money(model.price_per_million_tokens) : model.external ? NONE : "free"}</td>`}
      <td role="cell" data-label="Last 30 days"><${LastDays} name=${model.name} /></td>
      ${priced && html`<td role="cell" data-label="Free this month"><${Allowance} model=${model} /></td>`}
      <td role="cell" data-label="Now" class="number">${now ? `${short(now)}/s` : NONE}</td>
      <td role="cell" data-label="On">
        <${Switch} on=${!off} label=${model.name} ...${admin()} onChange=${(on) =>
          turn({ models: { [model.name]: on } }, on, model.name, "Every request that needs this model")} />
      </td>
    </tr>
    ${open && html`<${Details} model=${model} />`}
  `;
}

function State({ model, off }) {
  // The switch is known at once, a state up to some seconds later.
  const said = off ? "off" : model.state;
  const { running, starting } = model.replicas;
  const replicas = `${running} replica${running === 1 ? "" : "s"}${starting ? `, ${starting} starting` : ""}`;
  const how = [replicas, model.provider, model.precision].filter(Boolean).join(" · ");
  return html`<span class=${`state ${said.replaceAll(" ", "-")}`}>${said}</span>
    <span class=${model.reason ? "sub bad" : "sub"}>${model.reason ?? how}</span>`;
}

function windowOf(model) {
  if (model.context_window) return full(model.context_window);
  if (model.external) return NONE;
  return model.image_limits ? bytes(model.image_limits.max_bytes) : "no limit";
}

function LastDays({ name }) {
  if (!state.month.value) return html`<span class="dim">${NONE}</span>`;
  const { rows, days } = state.month.value;
  const tokens = new Map(rows.filter((row) => row.model === name).map((row) => [row.day, row.tokens]));
  const values = days.map((day) => tokens.get(day) ?? 0);
  const used = values.reduce((sum, n) => sum + n, 0);
  return html`<${Sparkline} values=${values} colour=${state.colourOf(name)} label=${`${full(used)} tokens in 30 days, most in a day ${full(Math.max(...values))}`} />
    <span class="sub">${short(used)} tokens</span>`;
}

function Allowance({ model }) {
  const allowance = state.month.value?.allowances.find((one) => one.model === model.name);
  if (!allowance) return html`<span class="dim">${NONE}</span>`;
  const share = allowance.tokens ? allowance.used / allowance.tokens : 1;
  const label = `${full(allowance.used)} of ${full(allowance.tokens)} free tokens used in ${allowance.month}`;
  return html`<${Bar} share=${share} label=${label} />
    <span class="sub">${percent(share)} of ${short(allowance.tokens)}${allowance.cost ? ` · ${money(allowance.cost)}` : ""}</span>`;
}

function Details({ model }) {
  const added = removable(model.name);
  const facts = {
    Aliases: model.aliases.join(", "),
    "Prefix of queries": quoted(model.prefixes.query),
    "Prefix of passages": quoted(model.prefixes.passage),
    "Image limits": model.image_limits && `${bytes(model.image_limits.max_bytes)}, ${short(model.image_limits.max_pixels)} pixels`,
    "Shares its space with": model.shared_with.join(", "),
    "Modifier of its vectors": model.modifier,
    "Key of callers": model.external?.key && `option or header ${model.external.key}`,
    "Last error": model.external?.last_error && `${model.external.last_error}, ${new Date(1000 * model.external.last_error_at).toLocaleString()}`,
    Options: model.options.length > 0 && html`${model.options.join(", ")} <a href="docs#get-inference-options">what each is</a>`,
    "Model card": card(model.model_card_url),
  };
  return html`<tr role="row" class="details">
    <td role="cell" colspan=${columns().length}>
      <dl>
        ${Object.entries(facts)
          .filter(([, value]) => value)
          .map(([name, value]) => html`<div><dt>${name}</dt><dd>${value}</dd></div>`)}
      </dl>
      <p class="buttons">
        <a href=${`#/examples?model=${encodeURIComponent(model.name)}`}>Examples</a>
        <a href=${`#/playground?model=${encodeURIComponent(model.name)}`}>Try it</a>
        ${added && html`<button class="quiet" onClick=${() => askToRemove(added)}>Remove model</button>`}
      </p>
    </td>
  </tr>`;
}

const quoted = (text) => text && html`<code>${JSON.stringify(text)}</code>`;
const card = (place) =>
  /^https?:/.test(place) ? html`<a href=${place} target="_blank" rel="noreferrer">${place}</a>` : place;

function Collections() {
  const names = [...new Set([...state.collections.value, ...Object.keys(state.settings.value?.collections ?? {})])];
  if (!names.length) return null;
  return html`<section aria-labelledby="collections">
    <h2 id="collections">Collections</h2>
    <ul class="collections">
      ${names.map((name) => {
        const on = state.settings.value?.collections[name] !== false;
        return html`<li class=${on ? "" : "is-off"}>
          <code title=${name}>${name}</code>
          <${Switch} on=${on} label=${`Inference for the collection ${name}`} ...${admin()} onChange=${(next) =>
            turn({ collections: { [name]: next } }, next, `inference for the collection ${name}`, "Every request with an inference object for it", BY_OTHER_WAYS)} />
        </li>`;
      })}
    </ul>
  </section>`;
}
