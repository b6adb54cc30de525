// The API's own pages, drawn from its description. They need nothing from elsewhere.
import { ask } from "./api.js";
import { curl } from "./curl.js";
import { highlighted } from "./highlight.js";
import { effect, html, render, signal } from "./lib.js";
import { CopyButton } from "./parts.js";
import { access, dark, said, toggleTheme } from "./state.js";

const DEEPEST = 5; // levels of fields within fields
const description = signal(null);
const problem = signal(null);

const slug = (method, path) => `${method}${path.replaceAll(/[^\w]+/g, "-")}`.replace(/-$/, "");
const operations = () =>
  Object.entries(description.value.paths).flatMap(([path, methods]) =>
    Object.entries(methods).map(([method, one]) => ({ method, path, ...one })),
  );

function Docs() {
  const spec = description.value;
  return html`
    <a class="skip" href="#main">Skip to the content</a>
    <header class="bar">
      <a class="brand" href="."><img src="icon.svg" alt="" width="18" height="18" />Inference</a>
      <nav aria-label="Pages"><a href=".">Console</a><a href="docs" aria-current="page">API</a></nav>
      <button class="quiet" onClick=${toggleTheme} aria-pressed=${dark.value}>${dark.value ? "Light" : "Dark"}<span class="sr"> colours</span></button>
    </header>
    <main id="main" tabindex="-1" class="docs">
      ${spec ? html`<${Contents} /><${Everything} spec=${spec} />` : html`<p class="empty">${problem.value ?? "Loading …"}</p>`}
    </main>
    <p class="note" role="status">${said.value}</p>
  `;
}

function Contents() {
  return html`<nav class="contents" aria-label="Operations"><ul>
    ${operations().map((one) => html`<li><a href=${`#${slug(one.method, one.path)}`}><${Method} name=${one.method} /> ${one.path}</a></li>`)}
  </ul></nav>`;
}

function Everything({ spec }) {
  return html`<div>
    <h1>${spec.info.title}: the API</h1>
    <${Text} text=${spec.info.description} />
    <p>Everything else on this address is Qdrant's own API, with inference objects wherever a vector may stand. This description as JSON: <a href="openapi.json">openapi.json</a>.</p>
    ${operations().map((one) => html`<${Operation} ...${one} key=${one.method + one.path} />`)}
  </div>`;
}

const Method = ({ name }) => html`<b class=${`method ${name}`}>${name.toUpperCase()}</b>`;

/** Paragraphs, with code between backticks. */
const Text = ({ text = "" }) =>
  text.split("\n\n").map((part) => html`<p>${part.split("`").map((piece, n) => (n % 2 ? html`<code>${piece}</code>` : piece))}</p>`);

function Operation({ method, path, summary, description: more, parameters, requestBody, responses }) {
  const asked = requestBody?.content["application/json"];
  const answer = responses["200"];
  const shown = answer.content?.["application/json"];
  const examples = asked ? (asked.examples ? Object.entries(asked.examples).map(([name, { value }]) => [name, value]) : [["", asked.example]]) : [["", undefined]];
  return html`<section class="operation" id=${slug(method, path)}>
    <h2><${Method} name=${method} /> <code>${path}</code></h2>
    <p><b>${summary}.</b></p>
    <${Text} text=${more} />
    ${parameters && html`<${Fields} title="Parameters" rows=${parameters.map((one) => [one.name, typeOf(one.schema), one.description])} />`}
    ${examples.map(([name, body]) => {
      const command = curl(method.toUpperCase(), path, body);
      return html`<${Code} title=${name || "Request"} code=${command} language="shell" />`;
    })}
    ${asked && html`<${Fields} title="Fields of the request" rows=${fields(asked.schema)} />`}
    ${shown?.example && html`<${Code} title="Answer" code=${JSON.stringify(shown.example, null, 2)} language="json" tall />`}
    <${Text} text=${answer.description} />
    ${shown && html`<${Fields} title="Fields of the answer" rows=${fields(shown.schema)} />`}
  </section>`;
}

const Code = ({ title, code, language, tall }) => html`<h3>${title}</h3>
  <div class="code"><${CopyButton} text=${code} what=${title} /><pre tabindex="0" role="group" aria-label=${title} class=${tall ? "tall" : ""}><code>${highlighted(code, language)}</code></pre></div>`;

function Fields({ title, rows }) {
  if (!rows.length) return null;
  return html`<details><summary>${title}</summary><div class="scroll" tabindex="0" role="group" aria-label=${title}><table>
    <thead><tr><th scope="col">Field</th><th scope="col">Type</th><th scope="col">What it is</th></tr></thead>
    <tbody>${rows.map(([name, type, what]) => html`<tr><th scope="row"><code>${name}</code></th><td class="dim">${type}</td><td>${what ?? ""}</td></tr>`)}</tbody>
  </table></div></details>`;
}

const resolved = (schema) => (schema?.$ref ? description.value.components.schemas[schema.$ref.split("/").pop()] : schema) ?? {};

function typeOf(schema) {
  const { type, enum: one, const: only, items, anyOf, oneOf } = resolved(schema);
  if (only !== undefined) return JSON.stringify(only);
  if (one) return one.map((value) => JSON.stringify(value)).join(" | ");
  const several = anyOf ?? oneOf;
  if (several) return [...new Set(several.map(typeOf))].join(" | ");
  if (type === "array") return `list of ${typeOf(items ?? {})}`;
  return [type ?? "any"].flat().join(" | ");
}

/** [path, type, description] of all fields, those within fields after them. */
function fields(schema, path = "", depth = 0) {
  const whole = resolved(schema);
  if (depth > DEEPEST) return [];
  const inner = (whole.anyOf ?? []).map(resolved).find((one) => one.properties) ?? whole;
  if (inner.items) return fields(inner.items, `${path}[]`, depth);
  const named = Object.entries(inner.properties ?? {}).flatMap(([name, one]) => {
    const at = path ? `${path}.${name}` : name;
    return [[at, typeOf(one), one.description ?? (one.$ref ? resolved(one).description : "")], ...fields(one, at, depth + 1)];
  });
  const others = typeof inner.additionalProperties === "object" ? fields(inner.additionalProperties, `${path}.*`, depth + 1) : [];
  return [...named, ...others];
}

async function load() {
  const response = await fetch("openapi.json");
  access.value = await ask("GET", "access", undefined, "").catch(() => null);
  description.value = await response.json();
  document.getElementById(location.hash.slice(1))?.scrollIntoView();
}

effect(() => render(html`<${Docs} />`, document.getElementById("app")));
load().catch(() => (problem.value = "The service does not answer."));
