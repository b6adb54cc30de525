// Colours for code: comments, strings and figures, which look alike in every language here.
import { html } from "./lib.js";

const PIECES = /(?<string>"(?:[^"\\\n]|\\.)*")|(?<comment>(?<![:\w"])\/\/.*|^\s*# .*|  # .*)|(?<figure>(?<![\w./:-])\d+(?:\.\d+)?\b)/gm;

export function highlighted(code) {
  const pieces = [];
  let at = 0;
  for (const found of code.matchAll(PIECES)) {
    const [kind] = Object.entries(found.groups).find(([, text]) => text !== undefined);
    pieces.push(code.slice(at, found.index), html`<span class=${kind}>${found[0]}</span>`);
    at = found.index + found[0].length;
  }
  return [...pieces, code.slice(at)];
}
