// What the page knows. Views read these signals; a change of any draws the page anew.
import { Refused, ask, key } from "./api.js";
import { batch, signal } from "./lib.js";

export const route = signal(readRoute());
export const access = signal(null);
export const keyProblem = signal(null);
export const askingAdmin = signal(false);
export const troubles = signal({});
export const said = signal(null);
export const models = signal(null);
export const additions = signal([]);
export const settings = signal(null);
export const collections = signal([]);
export const live = signal(null);
export const history = signal([]);
export const month = signal(null);
export const health = signal(null);
export const confirming = signal(null);
export const dark = signal(isDark());

export const HISTORY_S = 180;
const GAP_S = 8; // after which what was missed is asked for
const SETTLING_MS = 2000; // until then other ingress replicas may not know of a change
let settled = 0;
const DAYS = 30;

/** `#/examples?model=x` as `{view: "examples", query: {model: "x"}}`. */
function readRoute() {
  const [view, query] = location.hash.replace(/^#\/?/, "").split("?");
  return { view: view || "models", query: Object.fromEntries(new URLSearchParams(query)) };
}

addEventListener("hashchange", () => (route.value = readRoute()));

/** Other choices within a view: in the address, but no step of the browser's history. */
export function changeQuery(values) {
  const query = new URLSearchParams(Object.entries(values).filter(([, value]) => value));
  globalThis.history.replaceState(null, "", `#/${route.value.view}${query.size ? `?${query}` : ""}`);
  route.value = readRoute();
}

function isDark() {
  const chosen = document.documentElement.dataset.theme;
  return chosen ? chosen === "dark" : matchMedia("(prefers-color-scheme: dark)").matches;
}

matchMedia("(prefers-color-scheme: dark)").addEventListener("change", () => (dark.value = isDark()));

export function toggleTheme() {
  const theme = dark.value ? "light" : "dark";
  document.documentElement.dataset.theme = theme;
  localStorage.setItem("theme", theme);
  dark.value = isDark();
}

/** Whether anything costs anything: where all is free, neither prices nor allowances say something. */
export const hasPrices = () => (models.value ?? []).some((model) => model.price_per_million_tokens > 0);

/** A colour of its own for each model, the same in every view; see `--c1` and the others in page.css. */
export const COLOURS = 12;
export function colourOf(name) {
  const place = (models.value ?? []).findIndex((model) => model.name === name);
  return `var(--c${place < 0 ? 0 : (place % COLOURS) + 1})`;
}

const day = (back) => new Date(Date.now() - back * 86400e3).toISOString().slice(0, 10);

const STRANGER = { key_needed: true, known: false };
const DENIED = [401, 403]; // 403: a token that has expired, or that another key has signed

/** Ask who comes with this key, and show what there is to see. */
export async function comeIn(shown = key.get()) {
  if (await identify(shown)) loadSlowly();
}

/** Learn who comes with this key, and keep the key of whom is known. Others are asked for another one. Whether it is known. */
async function identify(shown) {
  try {
    const who = await ask("GET", "access", undefined, shown);
    if (shown) key.set(shown);
    batch(() => {
      access.value = who;
      keyProblem.value = null;
    });
    forget("access");
  } catch (error) {
    if (!(error instanceof Refused)) throw error;
    if (DENIED.includes(error.status)) turnAway();
    if (access.value?.known === false) keyProblem.value = error.message; // the dialog is open and covers the page
    else note(error, "access");
  }
  return isIn();
}

function turnAway() {
  key.forget();
  batch(() => {
    access.value = STRANGER;
    askingAdmin.value = false;
  });
}

/** Take a key that may change settings; any other leaves everything as it is. */
export async function comeInAsAdmin(shown) {
  try {
    const who = await ask("GET", "access", undefined, shown);
    if (!who.may_change_settings) return (keyProblem.value = "This is not the admin key.");
    key.set(shown);
    batch(() => {
      access.value = who;
      askingAdmin.value = false;
      keyProblem.value = null;
    });
    loadSlowly();
  } catch (error) {
    keyProblem.value = error.message;
  }
}

export const isIn = () => Boolean(access.value?.known);

/** A token for single collections sees no usage, unless it names whose it is. */
export const isForSome = () => access.value?.access === "collections";
export const seesUsage = () => !isForSome() || access.value.tenant !== null;

export function leave() {
  key.forget();
  batch(() => (access.value = models.value = month.value = live.value = settings.value = health.value = null));
  history.value = [];
  comeIn();
}

/** Show what went wrong under `name`, until that is forgotten. A key that is not taken any more is asked for anew. */
export async function report(error, name) {
  if (!(error instanceof Refused)) throw error;
  // Qdrant may refuse a key that this service takes.
  if (!DENIED.includes(error.status) || (await identify(key.get()))) note(error, name);
}

const note = (error, name) => (troubles.value = { ...troubles.value, [name]: error.message });

/** Do something whose trouble is shown under `name` until it works. Whether it does. */
export async function attempt(name, work) {
  try {
    await work();
    forget(name);
    return true;
  } catch (error) {
    await report(error, name);
    return false;
  }
}

export function forget(name) {
  if (!(name in troubles.value)) return;
  const { [name]: _, ...others } = troubles.value;
  troubles.value = others;
}

/** Say something that vanishes again. */
export function say(text) {
  said.value = text;
  setTimeout(() => said.value === text && (said.value = null), 4000);
}

const underWay = new Set();

/** Load one thing, unless it is being loaded. */
async function load(name, work) {
  if (underWay.has(name)) return;
  underWay.add(name);
  await attempt(name, work).finally(() => underWay.delete(name));
}

export const loadModels = () =>
  load("models", async () => {
    const told = await ask("GET", "models");
    batch(() => ((models.value = told.models), (additions.value = told.additions)));
  });
export const loadSettings = () =>
  load("settings", async () => {
    const now = await ask("GET", "settings");
    if (Date.now() > settled) settings.value = now;
  });
export const loadMonth = () =>
  seesUsage() &&
  load("month", async () => {
    const days = Array.from({ length: DAYS }, (_, n) => day(DAYS - 1 - n));
    month.value = { days, ...(await ask("GET", `usage?from=${days[0]}&group_by=model,day`)) };
  });
export const loadCollections = () =>
  load("collections", async () => {
    try {
      collections.value = (await ask("GET", "../collections")).collections.map((one) => one.name).sort();
    } catch (error) {
      if (error.status !== 403 || !isForSome()) throw error;
      collections.value = []; // the embedded store lists all collections or none
    }
  });
export const loadLive = () =>
  load("live", async () => {
    const last = history.value.at(-1)?.at ?? 0;
    const kept = Date.now() / 1000 - last > GAP_S ? rows(await ask("GET", "live/history")) : history.value;
    const now = await ask("GET", "live");
    const at = Date.now() / 1000;
    const models = Object.fromEntries(Object.entries(now.models).map(([name, one]) => [name, one.tokens_per_s]));
    batch(() => {
      live.value = now;
      history.value = [...kept.filter((one) => one.at > at - HISTORY_S && one.at < at), { at, total: now.total, models }].slice(-2 * HISTORY_S);
    });
  });

/** The server's columns as rows; it looks every two seconds, this page every second. */
function rows({ now, times, total, models }) {
  const shift = Date.now() / 1000 - now; // its clock may be another
  const pick = (columns, n) => Object.fromEntries(Object.entries(columns).map(([name, values]) => [name, values[n]]));
  return times.map((at, n) => ({ at: at + shift, total: pick(total, n), models: pick(models, n) }));
}

export const loadHealth = () => load("health", async () => (health.value = await ask("GET", "health")));

function loadSlowly() {
  return Promise.all([loadModels(), loadSettings(), loadMonth(), loadCollections(), loadLive(), loadHealth()]);
}

/** Change switches; what is not named stays. Whether it was done. */
export const change = (settingsChange) =>
  attempt("change", async () => {
    settings.value = await ask("PUT", "settings", settingsChange);
    settled = Date.now() + SETTLING_MS;
    setTimeout(loadModels, SETTLING_MS);
  });

/** Keep what is shown fresh, while somebody looks at it. */
export function keepFresh() {
  let seconds = 0;
  setInterval(() => {
    if (document.hidden) return;
    if (!access.value) comeIn();
    if (!isIn()) return;
    seconds += 1;
    loadLive();
    if (seconds % 3 === 0 && (route.value.view === "models" || !models.value)) loadModels(), loadSettings(), loadMonth();
    if (seconds % 15 === 0) loadCollections(), loadHealth();
  }, 1000);
}
