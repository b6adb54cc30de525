// Calls of the service. Addresses are relative, so that the page also works behind a path prefix.

const STORED = "api-key";
const HERE = new URL(".", location.href);
const ROOT = new URL("..", HERE);

/** The key, kept until this tab is closed. */
export const key = {
  get: () => sessionStorage.getItem(STORED),
  set: (value) => sessionStorage.setItem(STORED, value),
  forget: () => sessionStorage.removeItem(STORED),
};

/** Scheme, host and port of this server, the port always named: some clients take 6333 where none stands. */
export const address = {
  tls: ROOT.protocol === "https:",
  host: ROOT.hostname,
  port: Number(ROOT.port || (ROOT.protocol === "https:" ? 443 : 80)),
  get url() {
    return `${ROOT.protocol}//${this.host}:${this.port}${ROOT.pathname.replace(/\/$/, "")}`;
  },
};

/** An answer that says no; status 0 where there was none at all. */
export class Refused extends Error {
  constructor(status, message) {
    super(message);
    this.status = status;
  }
}

async function send(method, url, body, accept, shown = key.get()) {
  const headers = { accept };
  if (shown) headers["api-key"] = shown;
  if (body !== undefined) headers["content-type"] = "application/json";
  try {
    return await fetch(url, { method, headers, body: JSON.stringify(body), cache: "no-store" });
  } catch {
    throw new Refused(0, "The service does not answer.");
  }
}

async function refusal(response) {
  const answer = await response.json().catch(() => null);
  return new Refused(response.status, answer?.status?.error ?? answer?.message ?? `${response.status} ${response.statusText}`);
}

/** The whole answer of a call of the console's or of Qdrant's own API (`../collections`); `shown`: another key than the kept one. */
export async function answer(method, path, body, shown) {
  const response = await send(method, new URL(path, HERE), body, "application/json", shown);
  if (!response.ok) throw await refusal(response);
  return response.json();
}

/** The result of a call. */
export const ask = async (...call) => (await answer(...call)).result;

/** Usage as CSV, for a file. */
export async function csv(path) {
  const response = await send("GET", new URL(path, HERE), undefined, "text/csv");
  if (!response.ok) throw await refusal(response);
  return response.blob();
}
