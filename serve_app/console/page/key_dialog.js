// Asks for the key where the service wants one.
import { key } from "./api.js";
import { Modal } from "./modal.js";
import { html } from "./lib.js";
import * as state from "./state.js";

function enter(event) {
  event.preventDefault();
  key.set(new FormData(event.target).get("key").trim());
  state.comeIn();
}

export function KeyDialog() {
  const who = state.access.value;
  const problem = state.keyProblem.value;
  return html`<${Modal} open=${Boolean(who?.key_needed && !who.known)} title="API key" onClose=${null}>
    <form onSubmit=${enter}>
      <p>This service asks for a key, as Qdrant does. It is kept until this tab is closed, and nowhere else.</p>
      <label>
        Key
        <input name="key" type="password" autocomplete="off" spellcheck=${false} required autofocus
          aria-describedby=${problem ? "key-problem" : undefined} aria-invalid=${problem ? "true" : undefined} />
      </label>
      ${problem && html`<p class="bad" id="key-problem" role="alert">${problem}</p>`}
      <p class="buttons"><button class="main">Open</button></p>
    </form>
  <//>`;
}
