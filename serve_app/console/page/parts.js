// Small things that several views show.
import { split } from "./format.js";
import { html } from "./lib.js";
import { colourOf, said, say } from "./state.js";

/** A model's name with its colour. */
export function Name({ name }) {
  const [owner, own] = split(name);
  return html`<span class="name" title=${name}>
    <i class="swatch" style=${{ background: colourOf(name) }} aria-hidden="true"></i
    ><span><span class="dim">${owner}</span>${own}</span>
  </span>`;
}

/** One of several, as a row of buttons. `options`: value to label. */
export function Choice({ label, options, value, onChange }) {
  return html`<div class="choice" role="group" aria-label=${label}>
    ${Object.entries(options).map(
      ([name, text]) =>
        html`<button aria-pressed=${name === value} onClick=${() => onChange(name)}>${text}</button>`,
    )}
  </div>`;
}

/** A bar from 0 to 1; over 1 it is full and warns. */
export function Bar({ share, label }) {
  return html`<span class=${`meter ${share >= 1 ? "over" : ""}`} role="img" aria-label=${label} title=${label}>
    <i style=${{ width: `${Math.min(100, share * 100)}%` }}></i>
  </span>`;
}

/** Tokens by day as small bars. */
export function Sparkline({ values, colour, label }) {
  const top = Math.max(...values, 1);
  const width = 4;
  return html`<svg class="spark" viewBox=${`0 0 ${values.length * width} 24`} preserveAspectRatio="none" role="img" aria-label=${label}>
    <title>${label}</title>
    ${values.map((value, n) => {
      const height = value ? Math.max(1.5, (value / top) * 23) : 0.6;
      const fill = value ? colour : "var(--line)";
      return html`<rect x=${n * width} y=${24 - height} width=${width - 1} height=${height} style=${{ fill }} />`;
    })}
  </svg>`;
}

/** A switch as screen readers know it. `whyNot`: id of the text that says why it cannot be turned; the keyboard still gets here. */
export function Switch({ on, label, whyNot, onChange }) {
  return html`<button class="switch" role="switch" aria-checked=${on} aria-label=${label} aria-disabled=${Boolean(whyNot)}
    aria-describedby=${whyNot} onClick=${() => whyNot || onChange(!on)}><i></i></button>`;
}

export async function copy(text) {
  let done = true;
  try {
    await navigator.clipboard.writeText(text);
  } catch {
    done = copyAsBefore(text); // pages without TLS have no clipboard object
  }
  said.value = null;
  say(done ? "Copied" : "The browser does not let this page copy: select the text and copy it yourself");
}

function copyAsBefore(text) {
  const area = document.createElement("textarea");
  area.value = text;
  document.body.append(area);
  area.select();
  const done = document.execCommand("copy");
  area.remove();
  return done;
}

/** `text`: what is copied, or what makes it when the button is pressed. */
export function CopyButton({ text, what, label = "Copy" }) {
  const act = () => copy(typeof text === "function" ? text() : text);
  return html`<button type="button" class="copy" aria-label=${`Copy: ${what}`} onClick=${act}>${label}</button>`;
}
