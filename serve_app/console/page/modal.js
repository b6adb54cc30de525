// The browser's own dialog: it keeps the focus inside, closes on Escape and gives the focus back.
import { Component, createRef, html } from "./lib.js";

/** `onClose` null: it cannot be left. */
export class Modal extends Component {
  dialog = createRef();

  componentDidMount() {
    this.componentDidUpdate();
  }

  componentDidUpdate() {
    const dialog = this.dialog.current;
    if (this.props.open && !dialog.open) dialog.showModal();
    if (!this.props.open && dialog.open) dialog.close();
  }

  render({ title, onClose, children }) {
    const cancel = (event) => {
      event.preventDefault();
      onClose?.();
    };
    return html`<dialog ref=${this.dialog} onCancel=${cancel} aria-label=${title}>
      <h2>${title}</h2>
      ${children}
    </dialog>`;
  }
}
