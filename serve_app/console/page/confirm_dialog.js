// Asks before something is done that others will notice.
import { Modal } from "./modal.js";
import { html } from "./lib.js";
import { confirming } from "./state.js";

const close = () => (confirming.value = null);

export function ConfirmDialog() {
  const asked = confirming.value;
  const accept = () => {
    close();
    asked.act();
  };
  return html`<${Modal} open=${Boolean(asked)} title=${asked?.title} onClose=${close}>
    <p>${asked?.text}</p>
    <p class="buttons">
      <button onClick=${close}>Cancel</button>
      <button class="main" onClick=${accept}>${asked?.verb}</button>
    </p>
  <//>`;
}
