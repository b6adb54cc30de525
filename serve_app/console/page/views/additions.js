// Models that are added while the service runs and taken away again: the form, how far each is, or why it failed.
import { ask } from "../api.js";
import { bytes } from "../format.js";
import { html, signal } from "../lib.js";
import { Bar } from "../parts.js";
import * as state from "../state.js";

const KINDS = { "": "as its files tell", dense: "dense", sparse: "sparse", "late-interaction": "late interaction", clip: "CLIP", "cross-encoder": "reranker", bm42: "BM42", minicoil: "miniCOIL" };

const problem = signal(null);
const busy = signal(false);

const may = () => state.access.value.may_change_settings;
const path = (name) => `models/${name.split("/").map(encodeURIComponent).join("/")}`;

/** The addition that a model came with, if it can be taken away by who looks. */
export const removable = (name) => may() && state.additions.value.find((one) => one.models.includes(name));

async function add(event) {
  event.preventDefault();
  if (busy.value) return;
  const form = event.target;
  const { warm, ...given } = Object.fromEntries(new FormData(form));
  const wanted = Object.fromEntries(Object.entries(given).map(([name, text]) => [name, text.trim()]).filter(([, text]) => text));
  busy.value = true;
  problem.value = null;
  try {
    const { name } = await ask("POST", "models", { ...wanted, ...(warm && { deployment: { autoscaling_config: { min_replicas: 1 } } }) });
    form.reset();
    state.say(`Adding ${name}`);
    state.loadModels();
  } catch (error) {
    problem.value = error.message;
  } finally {
    busy.value = false;
  }
}

const remove = (name, files) =>
  state.attempt("remove", async () => {
    await ask("DELETE", path(name) + (files ? "?files=true" : ""));
    state.say(`Removed: ${name}`);
    await state.loadModels();
  });

export function askToRemove({ name, models }) {
  state.confirming.value = {
    title: `Remove ${name}?`,
    text: `${models.join(" and ")} will be gone, and requests that need ${models.length > 1 ? "them" : "it"} fail. Collections keep their vectors, and no other model is touched.`,
    also: "Delete the files from the cache, too",
    verb: "Remove",
    act: (files) => remove(name, files),
  };
}

export function Additions() {
  const open = state.additions.value.filter((one) => one.state !== "ready" || one.reason);
  return html`
    ${open.length > 0 && html`<section aria-label="Added models"><ul class="added">${open.map((one) => html`<${Addition} key=${one.name} ...${one} />`)}</ul></section>`}
    ${may() && html`<${Form} />`}
  `;
}

function Addition({ name, state: how, detail, done, total, reason }) {
  const isOver = how === "failed" || how === "ready"; // the latter was not deployed again after a restart
  const what = (reason ?? detail).replace(`${name}: `, "");
  const size = total > 0 && !isOver && `${bytes(done)} of ${bytes(total)}`;
  return html`<li>
    <span class=${`state ${isOver ? "failed" : "loading"}`}>${name}: ${how === "ready" ? "not served" : how}</span>
    ${size && html`<${Bar} share=${done / total} label=${size} />`}
    <span class="dim">${what !== how && what} ${size}</span>
    ${may() && html`<button class="quiet" aria-label=${`${isOver ? "Remove" : "Cancel"} ${name}`} onClick=${() => remove(name)}>${isOver ? "Remove" : "Cancel"}</button>`}
  </li>`;
}

function Form() {
  return html`<section aria-labelledby="add">
    <h2 id="add">Add a model</h2>
    <form class="controls" onSubmit=${add}>
      <label class="grow">Repository on the model hub
        <input name="hub" required pattern="\\S+/\\S+" title="owner/name" placeholder="intfloat/e5-small-v2" autocomplete="off" spellcheck=${false} /></label>
      <label>Revision <input name="revision" size="14" placeholder="main" autocomplete="off" spellcheck=${false} /></label>
      <label>Name <input name="name" size="14" placeholder="the repository's" autocomplete="off" spellcheck=${false} /></label>
      <label>Kind <select name="family">${Object.entries(KINDS).map(([kind, text]) => html`<option value=${kind}>${text}</option>`)}</select></label>
      <label class="check"><input type="checkbox" name="warm" /> Keep a replica running</label>
      <button class="main" disabled=${busy.value}>${busy.value ? "Adding …" : "Add model"}</button>
    </form>
    ${problem.value && html`<p class="bad" role="alert">${problem.value}</p>`}
    <p class="dim small">
      Its files are fetched and checked, then it is served; no other model is touched. A replica starts with the first request, unless one is kept
      running. <a href="docs#post-inference-models">The API</a> takes folders, too.
    </p>
  </section>`;
}
