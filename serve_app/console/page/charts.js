// Charts over time: lines, or bars that stand on each other. SVG in the page's own colours, so that they follow the theme.
import { Component, createRef, html } from "./lib.js";

const HEIGHT = 230;
const PLOT = { top: 10, right: 10, bottom: 24, left: 56 };
const DAY = 86400;
const LABEL_WIDTH = 76;
const BAR = 0.78; // of the room that it has
const STEPS = [1, 2, 2.5, 5, 10];
const TIME_STEPS = [10, 30, 60, 300, 900, 3600];

/** A colour of page.css as a canvas takes it. */
export function resolved(colour) {
  const probe = document.createElement("i");
  probe.style.color = colour;
  document.body.append(probe);
  const found = getComputedStyle(probe).color;
  probe.remove();
  return found;
}

/**
 * `series`: [{label, colour, values}], one value for each of `times` (seconds since 1970); null where there is none.
 * `stacked`: bars on top of each other, `step` seconds apart; else lines over the last `span` seconds. `show` writes a value.
 */
export class TimeChart extends Component {
  place = createRef();
  state = { width: 600, at: null, hidden: [] };

  componentDidMount() {
    const measure = () => this.setState({ width: Math.max(this.place.current.clientWidth, 200) });
    this.watcher = new ResizeObserver(measure);
    this.watcher.observe(this.place.current);
    measure();
  }

  componentWillUnmount() {
    this.watcher.disconnect();
  }

  render(props, { width, at, hidden }) {
    const shown = props.series.filter((one) => !hidden.includes(one.label));
    const scale = scales(props, shown, width);
    const point = (event) => this.setState({ at: nearest(props, scale, event) });
    const leave = () => this.setState({ at: null });
    const keys = (event) => {
      const by = { ArrowLeft: -1, ArrowRight: 1 }[event.key];
      if (!by) return;
      event.preventDefault();
      const last = props.times.length - 1;
      this.setState({ at: Math.min(last, Math.max(0, (at ?? last + (by > 0 ? 0 : 1)) + by)) });
    };
    const toggle = (label) =>
      this.setState({ hidden: hidden.includes(label) ? hidden.filter((one) => one !== label) : [...hidden, label] });
    return html`<figure class="chart" ref=${this.place}>
      <svg viewBox=${`0 0 ${width} ${HEIGHT}`} height=${HEIGHT} role="img" aria-label=${props.label} tabindex="0"
        onPointerMove=${point} onPointerDown=${point} onPointerLeave=${leave} onKeyDown=${keys} onBlur=${leave}>
        <${Axes} ...${props} scale=${scale} width=${width} />
        ${props.stacked ? bars(props, shown, scale) : shown.map((one) => html`<path class="line" d=${path(props.times, one.values, scale)} style=${{ stroke: one.colour }} />`)}
        ${at !== null && at < props.times.length && html`<line class="cursor" x1=${middle(props, scale, at)} x2=${middle(props, scale, at)} y1=${PLOT.top} y2=${HEIGHT - PLOT.bottom} />`}
        ${!scale.most && html`<text class="nothing" x=${(width + PLOT.left) / 2} y=${HEIGHT / 2}>${props.empty ?? "Nothing in this time"}</text>`}
      </svg>
      <${Legend} ...${props} hidden=${hidden} at=${at} toggle=${toggle} />
    </figure>`;
  }
}

function scales({ times, stacked, step, span }, shown, width) {
  const last = (times.at(-1) ?? 0) + (stacked ? step : 0);
  const first = stacked ? times[0] : last - span;
  const tops = times.map((_, at) => (stacked ? shown.reduce((sum, one) => sum + one.values[at], 0) : Math.max(0, ...shown.map((one) => one.values[at] ?? 0))));
  const most = Math.max(0, ...tops);
  const gap = most ? niceStep(most / 4) : 1;
  const top = most ? Math.ceil(most / gap - 1e-9) * gap : 1;
  return {
    first, last, most, top, gap,
    x: (time) => PLOT.left + ((time - first) / (last - first || 1)) * (width - PLOT.left - PLOT.right),
    y: (value) => HEIGHT - PLOT.bottom - (value / top) * (HEIGHT - PLOT.top - PLOT.bottom),
  };
}

/** The least of 1, 2, 2.5 and 5 times a power of ten that is no less. */
function niceStep(least) {
  const power = 10 ** Math.floor(Math.log10(least));
  return STEPS.find((one) => one * power >= least * 0.999) * power;
}

function Axes({ times, stacked, step, show, scale, width }) {
  const ticks = scale.most ? Array.from({ length: Math.round(scale.top / scale.gap) + 1 }, (_, n) => n * scale.gap) : [0];
  const labels = stacked ? barLabels(times, step, width) : timeLabels(scale, width);
  return html`<g aria-hidden="true">
    ${ticks.map((value) => html`<line class=${value ? "grid" : "grid base"} x1=${PLOT.left} x2=${width - PLOT.right} y1=${scale.y(value)} y2=${scale.y(value)} />
      <text class="left" x=${PLOT.left - 8} y=${scale.y(value) + 4}>${show(value)}</text>`)}
    ${labels.map(([time, text]) => html`<text class="below" x=${scale.x(time)} y=${HEIGHT - 7}>${text}</text>`)}
  </g>`;
}

/** A label under the middle of a bar; where bars are many, of every second or third one. */
function barLabels(times, step, width) {
  const every = Math.ceil((times.length * LABEL_WIDTH) / (width - PLOT.left));
  return times.filter((_, n) => n % every === 0).map((at) => [at + step / 2, short(at, step)]);
}

function timeLabels({ first, last }, width) {
  const room = ((last - first) * LABEL_WIDTH) / (width - PLOT.left);
  const step = TIME_STEPS.find((one) => one >= room) ?? TIME_STEPS.at(-1);
  const labels = [];
  // Not so near to an end that the label would be cut.
  for (let at = Math.ceil(first / step) * step; at < last - room / 2.6; at += step) if (at > first) labels.push([at, clock(at)]);
  return labels;
}

function bars({ times, step }, shown, scale) {
  const width = Math.min(64, (scale.x(times[0] + step) - scale.x(times[0])) * BAR);
  return times.map((at, n) => {
    let below = 0;
    return shown.map((one) => {
      const value = one.values[n];
      if (!value) return null;
      const [bottom, top] = [scale.y(below), scale.y((below += value))];
      return html`<rect x=${scale.x(at + step / 2) - width / 2} y=${top} width=${width} height=${Math.max(bottom - top, 0.5)} style=${{ fill: one.colour }} />`;
    });
  });
}

/** A line through all values; where some are missing it goes straight on. */
function path(times, values, scale) {
  let text = "";
  for (const [n, value] of values.entries())
    if (value != null && times[n] >= scale.first) text += `${text ? "L" : "M"}${scale.x(times[n]).toFixed(1)},${scale.y(value).toFixed(1)}`;
  return text;
}

const middle = ({ times, stacked, step }, scale, at) => scale.x(times[at] + (stacked ? step / 2 : 0));

function nearest(props, scale, event) {
  const x = event.clientX - event.currentTarget.getBoundingClientRect().left;
  let best = null;
  for (const n of props.times.keys())
    if (best === null || Math.abs(middle(props, scale, n) - x) < Math.abs(middle(props, scale, best) - x)) best = n;
  return best;
}

/** What each colour is, and its value under the cursor. A press hides a series, and what is left is drawn anew. */
function Legend({ series, times, stacked, step, show, hidden, at, toggle }) {
  const place = at ?? (stacked ? null : times.length - 1);
  const time = times[place];
  const when = time == null || (at === null && !stacked) ? "" : stacked ? dated(time, step) : clock(time);
  return html`<figcaption class="legend">
    ${series.map(({ label, colour, values }) => html`<button aria-pressed=${!hidden.includes(label)} title=${label} onClick=${() => toggle(label)}>
      <i class="swatch" style=${{ background: colour }} aria-hidden="true"></i><span class="what">${label}</span>${place !== null && values[place] != null ? html` <b>${show(values[place])}</b>` : ""}
    </button>`)}
    <span class="when">${when}</span>
  </figcaption>`;
}

const clock = (at) => new Date(at * 1000).toLocaleTimeString("en-GB");
const date = new Intl.DateTimeFormat("en-GB", { day: "numeric", month: "short", timeZone: "UTC" });
const hour = (at) => new Date(at * 1000).toISOString().slice(11, 16);
const short = (at, step) => (step < DAY ? hour(at) : date.format(at * 1000));
const dated = (at, step) => (step < DAY ? `${date.format(at * 1000)}, ${hour(at)} UTC` : date.format(at * 1000));
