// The last three minutes: how much, how fast, what failed, and what waits.
import { TimeChart } from "../charts.js";
import { full, ms, short } from "../format.js";
import { html } from "../lib.js";
import { Name } from "../parts.js";
import * as state from "../state.js";

const EMPTY = "No inference in the last three minutes";

export function Live() {
  const now = state.live.value;
  if (!now) return html`<p class="empty">Loading …</p>`;
  const { total } = now;
  const figures = [
    [short(total.tokens_per_s), "tokens/s"],
    [short(total.requests_per_s), "requests/s"],
    [ms(total.p50_ms), "median latency"],
    [ms(total.p95_ms), "95th percentile"],
    [short(total.waiting_tokens), "tokens wait"],
    [short(total.errors_per_s), "errors/s", total.errors_per_s > 0],
    [short(total.refused_per_s), "turned away/s (429)", total.refused_per_s > 0],
  ];
  return html`
    <section class="figures" aria-label="Now">
      ${figures.map(([figure, label, bad]) => html`<p class=${bad ? "alarming" : ""}><b>${figure}</b><span>${label}</span></p>`)}
    </section>
    <div class="two">
      <${Throughput} />
      <${Chart} title="Latency of inference" show=${ms} lines=${{ p50: ["p50_ms", "var(--c1)"], p95: ["p95_ms", "var(--c3)"] }} empty=${EMPTY} />
      <${Chart} title="Failures per second" show=${short} empty="No failures in the last three minutes"
        lines=${{ errors: ["errors_per_s", "var(--bad)"], "turned away (429)": ["refused_per_s", "var(--c5)"] }} />
      <${Chart} title="Tokens that wait" show=${short} lines=${{ waiting: ["waiting_tokens", "var(--c8)"] }} empty="Nothing waited in the last three minutes" />
    </div>
    <${ByModel} figures=${now.models} />
    <${ByReplica} replicas=${now.replicas} />
    <p class="dim small">
      The figures above count whole requests; the table of models each model's part of them. Rates are means of ten seconds, latencies of a minute.
      The ledger is in ${now.ledger.database === "sqlite" ? "SQLite" : "PostgreSQL"} and ${now.ledger.behind ? "behind" : "up to date"}.
    </p>
  `;
}

const times = () => state.history.value.map((one) => one.at);

function Throughput() {
  const seen = new Set(state.history.value.flatMap((one) => Object.keys(one.models)));
  const series = (state.models.value ?? [])
    .filter((model) => seen.has(model.name))
    .map(({ name }) => ({
      label: name,
      colour: state.colourOf(name),
      values: state.history.value.map((one) => one.models[name] ?? 0),
    }));
  return html`<section>
    <h2>Tokens per second</h2>
    <${TimeChart} times=${times()} span=${state.HISTORY_S} series=${series} show=${short} empty=${EMPTY}
      label="Tokens per second over the last three minutes, by model" />
  </section>`;
}

/** `lines`: label to [figure of the whole, colour]. */
function Chart({ title, show, lines, empty }) {
  const series = Object.entries(lines).map(([label, [figure, colour]]) => ({
    label,
    colour,
    values: state.history.value.map((one) => one.total[figure]),
  }));
  return html`<section>
    <h2>${title}</h2>
    <${TimeChart} times=${times()} span=${state.HISTORY_S} series=${series} show=${show} empty=${empty}
      label=${`${title} over the last three minutes: ${Object.keys(lines).join(", ")}`} />
  </section>`;
}

const COLUMNS = ["Tokens/s", "Requests/s", "p50", "p95", "Waiting", "Errors/s", "429/s"];
const cells = (now) => [
  full(now.tokens_per_s), short(now.requests_per_s), ms(now.p50_ms), ms(now.p95_ms),
  short(now.waiting_tokens), short(now.errors_per_s), short(now.refused_per_s),
];
const row = (now) => cells(now).map((cell, n) => html`<td class=${`number ${n > 4 && cell !== "0" ? "bad" : ""}`}>${cell}</td>`);
const heads = (...names) => html`<thead><tr>${[...names, ...COLUMNS].map((name) => html`<th scope="col">${name}</th>`)}</tr></thead>`;

function ByModel({ figures }) {
  const rows = (state.models.value ?? []).filter((model) => figures[model.name]);
  if (!rows.length) return null;
  return html`<div class="scroll" tabindex="0" role="group" aria-label="By model"><table class="sums rates">
    ${heads("Model", "Replicas")}
    <tbody>
      ${rows.map(({ name, replicas }) => html`<tr>
        <th scope="row"><${Name} name=${name} /></th>
        <td class="number">${replicas.running}${replicas.starting ? html` <span class="dim">+${replicas.starting}</span>` : ""}</td>
        ${row(figures[name])}
      </tr>`)}
    </tbody>
  </table></div>`;
}

function ByReplica({ replicas }) {
  return html`<section><h2>Ingress replicas</h2>
    <div class="scroll" tabindex="0" role="group" aria-label="By ingress replica"><table class="sums rates">
      ${heads("Replica")}
      <tbody>
        ${replicas.map((one, n) => html`<tr><th scope="row"><code>${one.name}</code>${n ? "" : html` <span class="dim small">answers this page</span>`}</th>${row(one)}</tr>`)}
      </tbody>
    </table></div>
  </section>`;
}
