// Asks before something is done that others will notice.
import { Modal } from "./modal.js";
import { html } from "./lib.js";
import { confirming } from "./state.js";

const close = () => (confirming.value = null);

export function ConfirmDialog() {
  const asked = confirming.value;
  const accept = (event) => {
    event.preventDefault();
    const also = new FormData(event.target).has("also");
    close();
    asked.act(also);
  };
  return html`<${Modal} open=${Boolean(asked)} title=${asked?.title} onClose=${close}>
    <form onSubmit=${accept} key=${asked?.title}>
      <p>${asked?.text}</p>
      ${asked?.also && html`<label class="check"><input type="checkbox" name="also" /> ${asked.also}</label>`}
      <p class="buttons">
        <button type="button" onClick=${close}>Cancel</button>
        <button class="main">${asked?.verb}</button>
      </p>
    </form>
  <//>`;
}
