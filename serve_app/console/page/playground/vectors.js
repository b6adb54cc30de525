// Vectors to look at: strips of colours, and words with bars.
import { resolved } from "../charts.js";
import { Component, createRef, html } from "../lib.js";
import { dark } from "../state.js";

const MOST_WORDS = 24;

/** Numbers as colours: blue below zero, orange above, paper at zero. */
export class Heat extends Component {
  canvas = createRef();

  componentDidMount() {
    this.draw();
  }

  componentDidUpdate() {
    if (this.drawn !== this.props.rows || this.dark !== dark.value) this.draw();
  }

  draw() {
    const { rows } = this.props;
    this.drawn = rows;
    this.dark = dark.value;
    const canvas = this.canvas.current;
    [canvas.width, canvas.height] = [rows[0].length, rows.length];
    const context = canvas.getContext("2d");
    const most = Math.max(...rows.map((row) => Math.max(...row.map(Math.abs)))) || 1;
    const [below, above] = [resolved("var(--c1)"), resolved("var(--c2)")];
    rows.forEach((row, y) =>
      row.forEach((value, x) => {
        context.globalAlpha = Math.abs(value) / most;
        context.fillStyle = value < 0 ? below : above;
        context.fillRect(x, y, 1, 1);
      }),
    );
  }

  render({ rows, label }) {
    const norm = Math.hypot(...rows[0]);
    return html`<figure class="heat">
      <canvas ref=${this.canvas} role="img" aria-label=${label} style=${{ height: `${Math.max(30, Math.min(rows.length * 6, 112))}px` }}></canvas>
      <figcaption>${label}${rows.length === 1 ? ` · length ${norm.toFixed(3)} · starts ${rows[0].slice(0, 4).map((n) => n.toFixed(3)).join(", ")} …` : ""}</figcaption>
    </figure>`;
  }
}

/** A sparse vector: its heaviest words. Those of miniCOIL may have negative weights. */
export function Words({ sparse, colour }) {
  const words = sparse.values
    .map((value, n) => ({ value, word: sparse.words[n] ?? `#${sparse.indices[n]}` }))
    .sort((a, b) => Math.abs(b.value) - Math.abs(a.value));
  const most = Math.abs(words[0]?.value) || 1;
  return html`<ol class="words">
      ${words.slice(0, MOST_WORDS).map(
        ({ word, value }) => html`<li>
          <span class="mono">${word}</span>
          <i style=${{ width: `${(Math.abs(value) / most) * 55}%`, background: colour }}></i>
          <span class="dim">${value.toFixed(2)}</span>
        </li>`,
      )}
    </ol>
    ${words.length > MOST_WORDS && html`<p class="dim small">and ${words.length - MOST_WORDS} lighter ones</p>`}`;
}
