// The three small libraries of this page under one name.
import htm from "./vendor/htm.mjs";
import { h } from "./vendor/preact.mjs";

export { Component, createRef, render } from "./vendor/preact.mjs";
export { batch, computed, effect, signal } from "./vendor/signals-core.mjs";

export const html = htm.bind(h);
