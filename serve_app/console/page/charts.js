// Charts over time, drawn by uPlot in this page's colours.
import { Component, createRef, html } from "./lib.js";
import { dark } from "./state.js";

const HEIGHT = 260;
const DAY = 86400;
const MOST_TICKS = 12;

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
 * `series`: [{label, colour, values}], one value for each of `times` (seconds since 1970).
 * `stacked`: bars on top of each other, else lines. `show` writes a value. `step`: seconds from bar to bar.
 */
export class TimeChart extends Component {
  place = createRef();

  componentDidMount() {
    this.watcher = new ResizeObserver(() => this.plot?.setSize({ width: this.width, height: HEIGHT }));
    this.watcher.observe(this.place.current);
    this.draw();
  }

  componentDidUpdate() {
    this.draw();
  }

  componentWillUnmount() {
    this.watcher.disconnect();
    this.plot?.destroy();
  }

  get width() {
    return this.place.current.clientWidth;
  }

  draw() {
    const { series, stacked, times, kind, step } = this.props;
    const data = stacked
      ? [times.map((at) => at + step / 2), ...stack(series)] // a bar stands around its place
      : [times, ...series.map((one) => one.values)];
    const looks = JSON.stringify([kind, dark.value, series.map((one) => [one.label, one.colour])]);
    if (looks === this.looks) return this.plot.setData(data);
    this.looks = looks;
    this.plot?.destroy();
    this.plot = new uPlot(this.options(), data, this.place.current);
  }

  options() {
    const { stacked, show, step } = this.props;
    const font = `12px ${getComputedStyle(document.body).fontFamily}`;
    const axis = { stroke: resolved("var(--dim)"), font, ticks: { show: false } };
    const grid = { stroke: resolved("var(--line)"), width: 1 };
    return {
      width: this.width,
      height: HEIGHT,
      padding: [12, 28, 0, 0],
      scales: {
        x: { range: stacked ? (_, from, to) => [from - step / 2, to + step / 2] : undefined },
        y: { range: (_, __, top) => [0, top > 0 ? top * 1.08 : 1] },
      },
      axes: [
        { ...axis, grid: { show: false }, ...(stacked ? this.barTicks() : { space: 80, values: (_, ticks) => ticks.map(clock) }) },
        { ...axis, grid, size: 64, values: (_, ticks) => ticks.map(show) },
      ],
      cursor: { y: false, drag: { x: false, y: false } },
      legend: { markers: { width: 0, fill: (_, n) => n && resolved(this.props.series[n - 1].colour) } },
      series: [{ value: (_, at) => (at == null ? "" : stacked ? when(at - step / 2, step) : clock(at)) }, ...this.props.series.map((one, n) => this.line(one, n))],
    };
  }

  /** A label under the middle of a bar; where bars are many, of every second or third one. */
  barTicks() {
    const { times, step } = this.props;
    const every = Math.ceil(times.length / MOST_TICKS);
    const splits = () => this.props.times.filter((_, n) => n % every === 0).map((at) => at + step / 2);
    return { splits, values: (_, ticks) => ticks.map((at) => short(at - step / 2, step)) };
  }

  line({ label, colour }, n) {
    const fill = resolved(colour);
    const value = (_, __, ___, at) => (at == null ? "" : this.props.show(this.props.series[n].values[at]));
    if (!this.props.stacked) return { label, stroke: fill, width: 1.6, value, points: { show: false }, spanGaps: true };
    return { label, fill, stroke: fill, width: 0, value, points: { show: false }, paths: uPlot.paths.bars({ size: [0.8, 64] }) };
  }

  render({ label }) {
    return html`<div class="chart" ref=${this.place} role="img" aria-label=${label}></div>`;
  }
}

/** Heights of bars that stand on each other: the first series is drawn first and reaches to the top. */
function stack(series) {
  const sums = series.at(-1)?.values.map(() => 0) ?? [];
  return series
    .toReversed()
    .map((one) => one.values.map((value, at) => (sums[at] += value)))
    .toReversed();
}

const clock = (at) => new Date(at * 1000).toLocaleTimeString("en-GB");
const date = new Intl.DateTimeFormat("en-GB", { day: "numeric", month: "short", timeZone: "UTC" });
const hour = (at) => new Date(at * 1000).toISOString().slice(11, 16);
const short = (at, step) => (step < DAY ? hour(at) : date.format(at * 1000));
const when = (at, step) => (step < DAY ? `${date.format(at * 1000)}, ${hour(at)} UTC` : date.format(at * 1000));
