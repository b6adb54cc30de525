// What a search asks Qdrant for, as values in and a body out.

export const LIMIT = 12;
const CANDIDATES = 50;

/** All vectors at once, each by its own model, fused by rank. No vector has this name: it is no text. */
export const ALL = null;

const PLAIN = /^[\w-]+$/;
/** A key of a payload as Qdrant's filters name it: what is no plain word stands in quotes. */
const keyOf = (name) => (PLAIN.test(name) ? name : `"${name}"`);

/** What a filter can say of values of a kind: word to condition. */
export const HOWS = {
  string: { is: ["must", (value) => ({ match: { value } })], "is not": ["must_not", (value) => ({ match: { value } })], contains: ["must", (text) => ({ match: { text } })] },
  number: { "=": ["must", (value) => ({ range: { gte: value, lte: value } })], "≥": ["must", (gte) => ({ range: { gte } })], "≤": ["must", (lte) => ({ range: { lte } })] },
  boolean: { is: ["must", (value) => ({ match: { value } })] },
};

const READ = {
  string: (text) => text,
  number: (text) => (text.trim() === "" || Number.isNaN(Number(text)) ? undefined : Number(text)),
  boolean: (text) => ({ true: true, false: false })[text],
};

/** Qdrant's filter of [{field, kind, how, text}]; those without a value are left out. */
export function filterOf(filters) {
  const filter = {};
  for (const { field, kind, how, text } of filters) {
    const value = text === "" ? undefined : READ[kind](text);
    if (value === undefined) continue;
    const [clause, condition] = HOWS[kind][how];
    (filter[clause] ??= []).push({ key: keyOf(field), ...condition(value) });
  }
  return Object.keys(filter).length ? filter : undefined;
}

/** `parts`: [{using, model}], one or several; `object`: the text or image without its model. */
export function bodyOf({ parts, object, filters }) {
  const filter = filterOf(filters);
  const asked = parts.map(({ using, model }) => ({ query: { ...object, model }, ...(using && { using }) }));
  const query =
    asked.length === 1 ? asked[0] : { prefetch: asked.map((one) => ({ ...one, limit: CANDIDATES, ...(filter && { filter }) })), query: { fusion: "rrf" } };
  return { ...query, ...(filter && asked.length === 1 && { filter }), with_payload: true, limit: LIMIT };
}

/** Only these are shown: what they hold is in them, and a picture runs nothing. */
const PICTURE = /^data:image\/(?:png|jpeg|webp|gif);base64,[\w+/=]+$/;
const LARGEST = 300_000;
export const isPicture = (value) => typeof value === "string" && value.length < LARGEST && PICTURE.test(value);

const MOST_FIELDS = 24;
const MOST_VALUES = 12;
const LONGEST_VALUE = 40;

/** The fields of some points that a filter can use: {name: {kind, values}}, some of their values with them. */
export function fieldsOf(points) {
  const fields = Object.create(null); // a payload may have any name
  for (const { payload } of points)
    for (const [name, whole] of Object.entries(payload ?? {}))
      for (const value of Array.isArray(whole) ? whole : [whole]) {
        if (!Object.hasOwn(HOWS, typeof value) || isPicture(value)) continue;
        if (!Object.hasOwn(fields, name) && Object.keys(fields).length >= MOST_FIELDS) continue;
        const field = (fields[name] ??= { kind: typeof value, values: [] });
        const text = String(value);
        if (text.length <= LONGEST_VALUE && field.values.length < MOST_VALUES && !field.values.includes(text)) field.values.push(text);
      }
  return fields;
}

const ASKED_FOR = ["question", "query", "title", "summary", "caption", "text", "content", "description", "name"];
const SAMPLES = 4;
const LONGEST_SAMPLE = 60;

/** Texts to search with, out of the payloads of some points: the first sentences of what reads like one. */
export function samplesOf(points) {
  const names = [...ASKED_FOR, ...Object.keys(points[0]?.payload ?? {})];
  const name = names.find((one) => points.some(({ payload }) => typeof payload?.[one] === "string" && !isPicture(payload[one])));
  const texts = points.map(({ payload }) => payload?.[name]).filter((text) => typeof text === "string");
  return [...new Set(texts.map(begun).filter(Boolean))].slice(0, SAMPLES);
}

function begun(text) {
  const [sentence] = text.trim().split(/(?<=[.?!])\s|\n/);
  if (sentence.length <= LONGEST_SAMPLE) return sentence.replace(/[.:]$/, "");
  return sentence.slice(0, LONGEST_SAMPLE).replace(/\s+\S*$/, "");
}
