// Fills a template: {{name}} is a value; {{#name}}…{{/name}} stays if the value is true, {{^name}}…{{/name}} if not.
// A tag alone on its line takes the line with it. A line `@name text` on top is put wherever {{>name}} stands.

const PART = /^@(\w+) (.*)\n/gm;
const ALONE = /^[ \t]*(\{\{[#^/]\w+\}\})[ \t]*\n/gm;
const SECTION = /\{\{([#^])(\w+)\}\}([\s\S]*?)\{\{\/\2\}\}/g;
const VALUE = /\{\{(\w+)\}\}/g;
const STEP = /^=== (.*)\n/m;

/** `literal`: what stands between quotes for a text, see literals.js; figures stay as they are. */
export function fill(template, values, literal) {
  const shown = (value) => (typeof value === "string" ? literal(value) : value);
  const parts = Object.fromEntries(Array.from(template.matchAll(PART), ([, name, text]) => [name, text]));
  const whole = template.replace(PART, "").replace(/\{\{>(\w+)\}\}/g, (_, name) => parts[name]);
  return sections(whole.replace(ALONE, "$1"), values).replace(VALUE, (_, name) => shown(values[name]));
}

function sections(text, values) {
  return text.replace(SECTION, (_, kind, name, inside) =>
    (kind === "#") === Boolean(values[name]) ? sections(inside, values) : "",
  );
}

/** The parts of a filled template, each after a line `=== title`. */
export function steps(text) {
  const [, ...parts] = text.split(STEP);
  return Array.from({ length: parts.length / 2 }, (_, n) => ({ title: parts[2 * n], code: parts[2 * n + 1].trimEnd() }));
}
