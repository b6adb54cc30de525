// The texts and images that somebody tries.
import { Refused } from "../api.js";
import { Component, html, signal } from "../lib.js";
import { attempt, forget } from "../state.js";

let count = 0;
const text = (value) => ({ id: ++count, text: value });

export const inputs = signal([
  text("How do I bake chocolate chip cookies?"),
  text("A recipe for biscuits with pieces of chocolate"),
  text("Change the oil of your car every year"),
]);

/** An input as the playground's route takes it. */
export const asked = ({ text, image }) => (image ? { image } : { text });
export const isEmpty = ({ text, image }) => !(image || text.trim());

const remove = (one) => (inputs.value = inputs.value.filter((other) => other !== one));
const add = (one) => (inputs.value = [...inputs.value, one]);

/** A file as base64, with an address under which the page can show it. */
export async function read(file) {
  if (!file.type.startsWith("image/")) throw new Refused(0, `${file.name} is not an image.`);
  return new Promise((done, failed) => {
    const reader = new FileReader();
    reader.onload = () => done({ id: ++count, name: file.name, shown: reader.result, image: reader.result.split(",")[1] });
    reader.onerror = () => failed(new Refused(0, `The browser cannot read ${file.name}.`));
    reader.readAsDataURL(file);
  });
}

function addImages(files) {
  return attempt("images", async () => {
    for (const file of files) add(await read(file));
  });
}

/** Whether something is dropped on a field for files, which takes it itself. */
export const isInField = (event) => event.target.matches?.("input");
const dropped = (event) => isInField(event) || addImages(event.dataTransfer.files);

export class Inputs extends Component {
  componentDidMount() {
    addEventListener("drop", dropped);
  }

  componentWillUnmount() {
    removeEventListener("drop", dropped);
    forget("images");
  }

  render() {
    const write = (one) => (event) =>
      (inputs.value = inputs.value.map((other) => (other === one ? { ...one, text: event.target.value } : other)));
    return html`<div class="inputs" onPaste=${(event) => addImages(event.clipboardData.files)}>
      ${inputs.value.map(
        (one, n) => html`<div class="input" key=${one.id}>
          <span class="order">${n + 1}</span>
          ${one.image
            ? html`<img src=${one.shown} alt=${one.name} title=${one.name} />`
            : html`<textarea rows="2" aria-label=${`Text ${n + 1}`} value=${one.text} onInput=${write(one)}></textarea>`}
          <button class="quiet" aria-label=${`Remove input ${n + 1}`} onClick=${() => remove(one)}>×</button>
        </div>`,
      )}
      <p class="buttons">
        <button onClick=${() => add(text(""))}>Add text</button>
        <label class="file">Add image
          <input type="file" accept="image/*" multiple onChange=${(event) => addImages(event.target.files)} />
        </label>
        <span class="dim small">or drop or paste one</span>
      </p>
    </div>`;
  }
}
