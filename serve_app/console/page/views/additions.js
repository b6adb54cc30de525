// Models that are added while the service runs, until they are in the table: how far each is, or why it failed.
import { bytes } from "../format.js";
import { html } from "../lib.js";
import { additions } from "../state.js";

export function Additions() {
  const open = additions.value.filter((one) => one.state !== "ready" || one.reason);
  if (!open.length) return null;
  return html`<section class="health" aria-label="Added models"><ul>
    ${open.map(({ name, state, detail, done, total, reason }) => html`<li key=${name}>
      <span class=${`state ${state === "failed" ? state : "loading"}`}>${name}: ${state}</span>
      <span class="dim"> ${reason ?? detail} ${state === "downloading" && total && `${bytes(done)} of ${bytes(total)}`}</span>
    </li>`)}
  </ul></section>`;
}
