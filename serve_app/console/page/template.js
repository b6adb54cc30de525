// Fills a template: {{name}} is a value; {{#name}}…{{/name}} stays where the value is true, {{^name}}…{{/name}} where not.
// A tag alone on its line takes the line with it.

const ALONE = /^[ \t]*(\{\{[#^/]\w+\}\})[ \t]*\n/gm;
const SECTION = /\{\{([#^])(\w+)\}\}([\s\S]*?)\{\{\/\2\}\}/g;
const VALUE = /\{\{(\w+)\}\}/g;
const STEP = /^=== (.*)\n/m;

export function fill(template, values) {
  return sections(template.replace(ALONE, "$1"), values).replace(VALUE, (_, name) => values[name]);
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
