// Asks for the key where the service wants one, and for the admin key where somebody wants to turn the switches.
import { Modal } from "./modal.js";
import { html } from "./lib.js";
import * as state from "./state.js";

const KEPT = "The page keeps it until you close this tab, and nowhere else.";

function enter(event) {
  event.preventDefault();
  const shown = new FormData(event.target).get("key").trim();
  event.target.reset();
  if (state.askingAdmin.value) return state.comeInAsAdmin(shown);
  state.comeIn(shown);
}

const close = () => {
  state.askingAdmin.value = false;
  state.keyProblem.value = null;
};

export function KeyDialog() {
  const who = state.access.value;
  const admin = state.askingAdmin.value;
  const problem = state.keyProblem.value;
  return html`<${Modal} open=${admin || Boolean(who?.key_needed && !who.known)} title=${admin ? "Admin key" : "API key"} onClose=${admin ? close : null}>
    <form onSubmit=${enter}>
      <p>${admin ? "The admin key turns inference on and off, and adds models." : "This service needs a key, as Qdrant does."} ${KEPT}</p>
      <label>
        Key
        <input name="key" type="password" autocomplete="off" spellcheck=${false} required autofocus
          aria-describedby=${problem ? "key-problem" : undefined} aria-invalid=${problem ? "true" : undefined} />
      </label>
      ${problem && html`<p class="bad" id="key-problem" role="alert">${problem}</p>`}
      <p class="buttons">
        ${admin && html`<button type="button" onClick=${close}>Cancel</button>`}
        <button class="main">${admin ? "Use" : "Open"}</button>
      </p>
    </form>
  <//>`;
}
