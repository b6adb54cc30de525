// Conditions on payloads, one a row.
import { html, signal } from "../lib.js";
import { HOWS } from "./search_request.js";

const MOST = 8;

export const filters = signal([]);
let count = 0;

function add(fields) {
  const [field, { kind }] = Object.entries(fields)[0];
  filters.value = [...filters.value, { id: ++count, field, kind, how: Object.keys(HOWS[kind])[0], text: "" }];
}

const change = (one, values) => (filters.value = filters.value.map((other) => (other === one ? { ...one, ...values } : other)));
const remove = (one) => (filters.value = filters.value.filter((other) => other !== one));

/** `fields`: see `fieldsOf`. */
export function Filters({ fields }) {
  if (!Object.keys(fields).length) return null;
  const choose = (one) => (event) => {
    const { kind } = fields[event.target.value];
    change(one, { field: event.target.value, kind, how: Object.keys(HOWS[kind])[0], text: "" });
  };
  return html`<fieldset class="filters">
    <legend>Filters</legend>
    ${filters.value.map((one, n) => html`<div class="filter" key=${one.id}>
      <select aria-label=${`Field ${n + 1}`} value=${one.field} onChange=${choose(one)}>
        ${Object.keys(fields).map((name) => html`<option value=${name} selected=${name === one.field}>${name}</option>`)}
      </select>
      <select aria-label=${`Condition ${n + 1}`} value=${one.how} onChange=${(event) => change(one, { how: event.target.value })}>
        ${Object.keys(HOWS[one.kind]).map((how) => html`<option value=${how} selected=${how === one.how}>${how}</option>`)}
      </select>
      <input aria-label=${`Value ${n + 1}`} value=${one.text} list=${`values-${one.id}`} spellcheck=${false} onInput=${(event) => change(one, { text: event.target.value })} />
      <datalist id=${`values-${one.id}`}>${(fields[one.field]?.values ?? []).map((value) => html`<option value=${value} />`)}</datalist>
      <button type="button" class="quiet" aria-label=${`Remove filter ${n + 1}`} onClick=${() => remove(one)}>×</button>
    </div>`)}
    ${filters.value.length < MOST && html`<button type="button" class="quiet" onClick=${() => add(fields)}>Add filter</button>`}
  </fieldset>`;
}
