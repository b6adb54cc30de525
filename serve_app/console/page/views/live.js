// The last three minutes: how much, and how fast.
import { TimeChart } from "../charts.js";
import { full, ms, short } from "../format.js";
import { html } from "../lib.js";
import { Name } from "../parts.js";
import * as state from "../state.js";

export function Live() {
  const now = state.live.value;
  if (!now) return html`<p class="empty">Loading …</p>`;
  const { total } = now;
  const figures = [
    [short(total.tokens_per_s), "tokens/s"],
    [short(total.requests_per_s), "requests/s"],
    [ms(total.p50_ms), "median latency"],
    [ms(total.p95_ms), "95th percentile"],
  ];
  return html`
    <section class="figures" aria-label="Now">
      ${figures.map(([figure, label]) => html`<p><b>${figure}</b><span>${label}</span></p>`)}
    </section>
    <div class="two">
      <${Throughput} />
      <${Latency} />
    </div>
    <${ByModel} figures=${now.models} />
    <p class="dim small">
      The figures above count whole requests; the table shows each model's part of them. Rates cover the last ten seconds, latencies the last minute, in ${now.ingress_replicas} ingress replica${now.ingress_replicas === 1 ? "" : "s"}.
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
      values: state.history.value.map((one) => one.models[name]?.tokens_per_s ?? 0),
    }));
  const all = { label: "all", colour: "var(--ink)", values: state.history.value.map((one) => one.total.tokens_per_s) };
  return html`<section>
    <h2>Tokens per second</h2>
    <${TimeChart} kind="tokens" times=${times()} series=${series.length ? series : [all]} show=${short} label="Tokens per second over the last three minutes, by model" />
  </section>`;
}

function Latency() {
  const line = (label, figure, colour) => ({ label, colour, values: state.history.value.map((one) => one.total[figure]) });
  const series = [line("p50", "p50_ms", "var(--c1)"), line("p95", "p95_ms", "var(--c3)")];
  return html`<section>
    <h2>Latency of inference</h2>
    <${TimeChart} kind="latency" times=${times()} series=${series} show=${ms} label="Latency over the last three minutes: median and 95th percentile" />
  </section>`;
}

function ByModel({ figures }) {
  const rows = (state.models.value ?? []).filter((model) => figures[model.name]);
  if (!rows.length) return html`<p class="empty">No inference in the last minute.</p>`;
  const most = Math.max(...rows.map((model) => figures[model.name].tokens_per_s), 1);
  return html`<div class="scroll"><table class="sums">
    <thead><tr>${["Model", "", "Tokens/s", "Requests/s", "p50", "p95"].map((name) => html`<th scope="col">${name || html`<span class="sr">Share</span>`}</th>`)}</tr></thead>
    <tbody>
      ${rows.map(({ name }) => {
        const now = figures[name];
        const width = `${(now.tokens_per_s / most) * 100}%`;
        return html`<tr>
          <th scope="row"><${Name} name=${name} /></th>
          <td><span class="share" aria-hidden="true"><i style=${{ width, background: state.colourOf(name) }}></i></span></td>
          <td class="number">${full(now.tokens_per_s)}</td><td class="number">${short(now.requests_per_s)}</td>
          <td class="number">${ms(now.p50_ms)}</td><td class="number">${ms(now.p95_ms)}</td>
        </tr>`;
      })}
    </tbody>
  </table></div>`;
}
