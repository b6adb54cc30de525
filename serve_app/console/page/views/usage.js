// What was used over time, by whom, and what it costs.
import { ask, csv } from "../api.js";
import { TimeChart } from "../charts.js";
import { full, money, percent, short } from "../format.js";
import { Component, html, signal } from "../lib.js";
import { Bar, Choice, Name } from "../parts.js";
import * as state from "../state.js";

const HOUR = 3600;
const DAY = 24 * HOUR;
const SPANS = { day: ["Day", HOUR, 24], week: ["Week", DAY, 7], month: ["Month", DAY, 30] };
const MEASURES = { tokens: ["Tokens", short], requests: ["Requests", short], cost: ["Cost", money] };
const GROUPS = { model: "Models", tenant: "Tenants" };
const PERIOD_MS = 4000;

const span = signal("week");
const group = signal("model");
const measure = signal("tokens");
const shown = signal(null);

const measures = () => (state.hasPrices() ? MEASURES : { tokens: MEASURES.tokens, requests: MEASURES.requests });
const labels = (table) => Object.fromEntries(Object.entries(table).map(([name, [label]]) => [name, label]));

/** Starts of the bars, in seconds since 1970; the last one is under way. */
function times() {
  const [, step, count] = SPANS[span.value];
  const last = Math.floor(Date.now() / 1000 / step) * step;
  return Array.from({ length: count }, (_, n) => last - (count - 1 - n) * step);
}

const named = (at, step) => new Date(at * 1000).toISOString().slice(0, step < DAY ? 13 : 10);

function query(parts) {
  const [, step] = SPANS[span.value];
  return `usage?from=${named(times()[0], step)}&group_by=${parts}`;
}

async function load() {
  if (!state.seesUsage()) return;
  const [, step] = SPANS[span.value];
  const what = { span: span.value, group: group.value };
  await state.attempt("usage", async () => {
    const [over, sums] = await Promise.all([
      ask("GET", query(`${what.group},${step < DAY ? "hour" : "day"}`)),
      ask("GET", query(what.group)),
    ]);
    if (what.span === span.value && what.group === group.value) shown.value = { ...what, over, sums, times: times() };
  });
}

const choose = (choice) => (value) => {
  choice.value = value;
  load();
};

export class Usage extends Component {
  componentDidMount() {
    load();
    this.timer = setInterval(() => document.hidden || load(), PERIOD_MS);
  }

  componentWillUnmount() {
    clearInterval(this.timer);
    state.forget("usage"); // nobody asks any more
  }

  render() {
    if (!state.seesUsage()) return html`<p class="empty">A token for single collections sees no usage, unless it has a subject.</p>`;
    return html`
      <div class="controls">
        <${Choice} label="Time" options=${labels(SPANS)} value=${span.value} onChange=${choose(span)} />
        <${Choice} label="By" options=${GROUPS} value=${group.value} onChange=${choose(group)} />
        <${Choice} label="Measure" options=${labels(measures())} value=${measure.value} onChange=${(value) => (measure.value = value)} />
        <button class="quiet" onClick=${download}>Download CSV</button>
      </div>
      ${shown.value ? html`<${Shown} ...${shown.value} />` : html`<p class="empty">Loading …</p>`}
    `;
  }
}

function Shown({ over, sums, times, span, group }) {
  const [title, show] = MEASURES[measure.value];
  const [, step] = SPANS[span];
  const rows = group === "tenant" ? sums.rows.toSorted((a, b) => b.tokens - a.tokens) : sums.rows;
  const series = foldedUp(rows.map((row, n) => oneOf(row[group], n, { over, times, step, group })));
  const most = `${title} by ${group}, ${rows.length} in all; the tables below have the figures`;
  return html`
    <p class="headline">
      <span><b>${full(sums.total.tokens)}</b> tokens</span> <span><b>${full(sums.total.requests)}</b> requests</span>
      ${state.hasPrices() && html`<span><b>${money(sums.total.cost)}</b> cost</span>`}
    </p>
    ${series.length
      ? html`<${TimeChart} key=${group} stacked step=${step} times=${times} series=${series} show=${show} label=${most} />
          <${OverTime} series=${series} times=${times} step=${step} show=${show} title=${title} />
          <div class="scroll" tabindex="0" role="group" aria-label="Sums"><${Sums} rows=${rows} total=${sums.total} group=${group} /></div>`
      : html`<p class="empty">No usage in this time.</p>`}
    ${state.hasPrices() && html`<${Allowances} list=${sums.allowances} />`}
  `;
}

/** What one model or tenant used over time. */
function oneOf(name, n, { over, times, step, group }) {
  const places = new Map(times.map((at, n) => [named(at, step), n]));
  const values = times.map(() => 0);
  for (const row of over.rows)
    if (row[group] === name && places.has(row.day ?? row.hour)) values[places.get(row.day ?? row.hour)] = row[measure.value];
  return { label: name ?? "no name", colour: colour(group, name, n), values };
}

/** As many series as there are colours; the last is all that is left. */
function foldedUp(series) {
  if (series.length <= state.COLOURS) return series;
  const others = series.slice(state.COLOURS - 1);
  const values = others[0].values.map((_, at) => others.reduce((sum, one) => sum + one.values[at], 0));
  return [...series.slice(0, state.COLOURS - 1), { label: `${others.length} others`, colour: "var(--c0)", values }];
}

/** The figures of the chart, for whoever would rather read or cannot see it. */
function OverTime({ series, times, step, show, title }) {
  return html`<details>
    <summary>${title} by ${step < DAY ? "hour" : "day"} as a table</summary>
    <div class="scroll" tabindex="0" role="group" aria-label="Figures of the chart">
      <table class="over-time">
        <thead><tr><th scope="col">UTC</th>${series.map((one) => html`<th scope="col">${one.label}</th>`)}</tr></thead>
        <tbody>
          ${times.map((at, n) => html`<tr><th scope="row">${named(at, step).replace(/T(.*)/, " $1:00")}</th>${series.map((one) => html`<td>${show(one.values[n])}</td>`)}</tr>`)}
        </tbody>
      </table>
    </div>
  </details>`;
}

const colour = (group, name, n) => (group === "model" ? state.colourOf(name) : `var(--c${(n % state.COLOURS) + 1})`);

function Sums({ rows, total, group }) {
  const most = Math.max(...rows.map((row) => row.tokens), 1);
  const several = rows.reduce((sum, row) => sum + row.requests, 0) > total.requests;
  const cost = state.hasPrices();
  const heads = [group === "model" ? "Model" : "Tenant", "Share", "Tokens", "Objects", "Requests", ...(cost ? ["Cost"] : [])];
  const cells = (row) => [full(row.tokens), full(row.objects), full(row.requests), ...(cost ? [money(row.cost)] : [])];
  return html`<table class="sums">
    <thead>
      <tr>${heads.map((name) => html`<th scope="col">${name}</th>`)}</tr>
    </thead>
    <tbody>
      ${rows.map((row, n) => html`<tr>
        <th scope="row">${group === "model" ? html`<${Name} name=${row.model} />` : html`<${Tenant} name=${row.tenant} n=${n} />`}</th>
        <td><span class="share" aria-hidden="true"><i style=${{ width: `${(row.tokens / most) * 100}%`, background: colour(group, row[group], n) }}></i></span> ${percent(row.tokens / (total.tokens || 1))}</td>
        ${cells(row).map((cell) => html`<td class="number">${cell}</td>`)}
      </tr>`)}
    </tbody>
    <tfoot>
      <tr><th scope="row">All</th><td></td>${cells(total).map((cell) => html`<td class="number">${cell}</td>`)}</tr>
    </tfoot>
  </table>
  ${several && html`<p class="dim small">A request that used several models counts in the row of each, and once in the last row.</p>`}`;
}

const Tenant = ({ name, n }) =>
  html`<span class="name"><i class="swatch" style=${{ background: colour("tenant", name, n) }}></i>${name ?? html`<span class="dim">no name</span>`}</span>`;

function Allowances({ list }) {
  if (!list.length) return null;
  return html`<section aria-labelledby="allowances">
    <h2 id="allowances">Free allowance, ${list[0].month}</h2>
    <p class="dim">All callers share it${state.access.value.tenant === null ? "" : "; the cost is yours alone"}.</p>
    <div class="scroll" tabindex="0" role="group" aria-label="Free allowance"><table class="allowances">
      <thead><tr><th scope="col">Model</th><th scope="col">Used</th><th scope="col">Left</th><th scope="col">Price / 1M after that</th><th scope="col">Cost</th></tr></thead>
      <tbody>
        ${list.map((one) => html`<tr>
          <th scope="row"><${Name} name=${one.model} /></th>
          <td><${Bar} share=${one.used / (one.tokens || 1)} label=${`${full(one.used)} of ${full(one.tokens)}`} /> <span class="dim">${short(one.used)} of ${short(one.tokens)}</span></td>
          <td class="number">${full(one.left)}</td>
          <td class="number">${one.price_per_million_tokens ? money(one.price_per_million_tokens) : "free"}</td>
          <td class="number">${money(one.cost)}</td>
        </tr>`)}
      </tbody>
    </table></div>
  </section>`;
}

function download() {
  const [, step] = SPANS[span.value];
  return state.attempt("download", async () => {
    const link = document.createElement("a");
    link.href = URL.createObjectURL(await csv(query(`model,tenant,${step < DAY ? "hour" : "day"}`)));
    link.download = "usage.csv";
    link.click();
    URL.revokeObjectURL(link.href);
  });
}
