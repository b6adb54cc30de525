// A text with its tokens marked in it, and where the model stopped reading.
import { full } from "../format.js";
import { html } from "../lib.js";

export function Tokens({ input, order, output }) {
  if (input.image) return html`<p class="tokens"><span class="order">${order}</span><img src=${input.shown} alt=${input.name} /></p>`;
  return html`<p class="tokens" tabindex="0"><span class="order">${order}</span>${marked(input.text, output)}</p>
    ${output.tokens_cut > 0 && html`<p class="cut-note">Cut: the model did not read the last ${full(output.tokens_cut)} tokens.</p>`}`;
}

/**
 * Offsets count code points. Special tokens stand nowhere in the text: they are shown between. Several tokens may share
 * a place, as those of the bytes of a character do: each shows what none before it has shown, with a mark at least.
 */
function marked(text, { tokens, truncated_at: end }) {
  const points = Array.from(text);
  const slice = (from, to) => points.slice(from, to).join("");
  const pieces = [];
  let at = 0;
  for (const [n, token] of (tokens ?? []).entries()) {
    if (token.start === null) {
      pieces.push(html`<i class="special">${token.text}</i>`);
      continue;
    }
    const rest = slice(Math.max(at, token.start), token.end);
    pieces.push(slice(at, token.start), html`<mark class=${n % 2 ? "odd" : ""} title=${token.text}>${rest || "·"}</mark>`);
    at = Math.max(at, token.end);
  }
  if (end === null) return [...pieces, slice(at)];
  return [...pieces, slice(at, end), html`<s>${slice(Math.max(at, end))}</s>`];
}
