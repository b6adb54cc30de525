// What stands between the quotes of a string in each language, so that it means a text and nothing else.

const STRANGE = /["\\\p{C}\p{Zl}\p{Zp}]/gu; // what ends a string, what is not seen, and what turns the text around
const SHORT = { '"': '\\"', "\\": "\\\\", "\n": "\\n", "\r": "\\r", "\t": "\\t" };

const hex = (number, digits) => number.toString(16).padStart(digits, "0");
const written = (text, escape) => text.replace(STRANGE, (sign) => SHORT[sign] ?? escape(sign.codePointAt(0), sign));

/** \uXXXX, and \UXXXXXXXX beyond 16 bits. */
const long = (text) => written(text, (point) => (point > 0xffff ? `\\U${hex(point, 8)}` : `\\u${hex(point, 4)}`));

/** \uXXXX, twice beyond 16 bits. */
const pairs = (text) =>
  written(text, (_, sign) => Array.from({ length: sign.length }, (_, n) => `\\u${hex(sign.charCodeAt(n), 4)}`).join(""));

const braces = (text) => written(text, (point) => `\\u{${point.toString(16)}}`);

/** Between single quotes, where only they are special. */
const shell = (text) => text.replaceAll("'", "'\\''");

/** By language; between double quotes, but for curl. In HTTP a text stands only in an address or in JSON, which have ways of their own. */
export const LITERALS = {
  http: (text) => text,
  curl: shell,
  python: long,
  openai: long,
  typescript: pairs,
  rust: braces,
  java: pairs,
  csharp: long,
  go: long,
};
