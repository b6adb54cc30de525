// A request of this page as a command for a shell.
import { address } from "./api.js";
import { LITERALS } from "./literals.js";
import { access } from "./state.js";

/** `path` from the service's root. The key stays out of it: the command reads it from the environment. */
export function curl(method, path, body) {
  const lines = [`curl -X ${method} '${LITERALS.curl(address.url + path)}'`];
  if (access.value?.key_needed) lines.push(`-H "api-key: $QDRANT_API_KEY"`);
  if (body !== undefined) lines.push("-H 'Content-Type: application/json'", `-d '${LITERALS.curl(JSON.stringify(body))}'`);
  return lines.join(" \\\n  ");
}
