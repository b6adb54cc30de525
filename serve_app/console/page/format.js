// Figures as people read them.

const compact = new Intl.NumberFormat("en", { notation: "compact", maximumFractionDigits: 1 });
const whole = new Intl.NumberFormat("en", { maximumFractionDigits: 0 });

export const NONE = "–";

export const short = (n) => (n == null ? NONE : Math.abs(n) < 1000 ? decimals(n) : compact.format(n));
export const full = (n) => (n == null ? NONE : whole.format(n));
export const percent = (share) => `${share > 0 && share < 0.01 ? "<1" : whole.format(share * 100)}%`;
export const ms = (n) => (n == null ? NONE : n < 10 ? `${Number(n.toFixed(1))} ms` : n < 1000 ? `${full(n)} ms` : `${(n / 1000).toFixed(1)} s`);

/** Dollars, with as many places as the figure needs. */
export function money(n) {
  if (n == null) return NONE;
  const places = n === 0 || n >= 1 ? 2 : n >= 0.01 ? 3 : 6;
  return `$${n.toFixed(places)}`;
}

export function bytes(n) {
  if (n >= 2 ** 30) return `${decimals(n / 2 ** 30)} GB`;
  return n >= 2 ** 20 ? `${decimals(n / 2 ** 20)} MB` : `${decimals(n / 1024)} KB`;
}

function decimals(n) {
  return Number.isInteger(n) || Math.abs(n) >= 100 ? whole.format(n) : String(Number(n.toFixed(1)));
}

/** A model's name with its organisation apart, which is not what tells models from another. */
export function split(name) {
  const at = name.lastIndexOf("/") + 1;
  return [name.slice(0, at), name.slice(at)];
}
