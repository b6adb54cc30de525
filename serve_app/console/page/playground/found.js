// What a search found: pictures side by side, everything else in a list.
import { full, ms, NONE } from "../format.js";
import { html } from "../lib.js";
import { isPicture } from "./search_request.js";

const SHOWN = 300;
const MOST_ENTRIES = 12;

export function Found({ points, took, time, tokens, error, colour }) {
  if (error) return html`<p class="warning" role="alert">${error}</p>`;
  const most = Math.max(...points.map((point) => Math.abs(point.score)), 1e-9);
  const pictures = points.some(pictureOf);
  return html`
    <p class="dim">${full(points.length)} points in ${ms(took)}, of which ${ms(time * 1000)} in Qdrant; ${tokens ?? NONE} tokens</p>
    <ol class=${pictures ? "found pictures" : "found"}>
      ${points.map((point) => html`<li key=${point.id}>
        <${Score} score=${point.score} share=${Math.abs(point.score) / most} colour=${colour} />
        ${pictures && html`<${Picture} point=${point} />`}
        <${Payload} point=${point} />
      </li>`)}
    </ol>
    ${!points.length && html`<p class="empty">No points found.</p>`}
  `;
}

const Score = ({ score, share, colour }) =>
  html`<span class="score"><b>${score.toFixed(3)}</b><i style=${{ width: `${share * 100}%`, background: colour }}></i></span>`;

const pictureOf = ({ payload }) => Object.values(payload ?? {}).find(isPicture);

function Picture({ point }) {
  const shown = pictureOf(point);
  const { caption, title, name } = point.payload ?? {};
  const alt = [caption, title, name].find((one) => typeof one === "string") ?? `point ${point.id}`;
  return shown ? html`<img src=${shown} alt=${alt} />` : html`<span class="dim small">no picture</span>`;
}

function Payload({ point }) {
  const entries = Object.entries(point.payload ?? {}).filter(([, value]) => !isPicture(value));
  return html`<div><span class="dim small">id ${point.id}</span>
    <dl>${entries.slice(0, MOST_ENTRIES).map(([name, value]) => html`<div><dt>${name}</dt><dd>${cut(typeof value === "string" ? value : JSON.stringify(value))}</dd></div>`)}</dl>
  </div>`;
}

const cut = (value) => (value.length > SHOWN ? `${value.slice(0, SHOWN)} …` : value);
