// Colours for code: comments, strings and figures, which look alike in every language here, and each language's keywords.
import { html } from "./lib.js";

const WORDS = {
  python: "and as async await def else False for from if import in is lambda None not or print return True while with",
  typescript: "async await const else false for from function if import let new null return true",
  rust: "async await else false fn for if in let match mut pub return true use",
  java: "class else false final for if import new null public return static throws true void",
  csharp: "await else false foreach for if in new null return true using var",
  go: "const defer else false for func if import nil package range return true type var",
  shell: "add cargo curl dotnet get go install npm package pip grep",
  http: "DELETE GET PATCH POST PUT",
  json: "false null true",
};
WORDS.openai = WORDS.python;
WORDS.curl = WORDS.shell;

const PLAIN = String.raw`(?<string>"(?:[^"\\\n]|\\.)*")|(?<comment>(?<![:\w"])\/\/.*|^\s*# .*|  # .*)|(?<figure>(?<![\w./:-])\d+(?:\.\d+)?\b)`;

const patterns = {};
/** The pieces of a language; a keyword is no part of a longer word, path or option. */
const pieces = (language) =>
  (patterns[language] ??= new RegExp(`${PLAIN}|(?<keyword>(?<![\\w./:$-])(?:${(WORDS[language] ?? WORDS.json).replaceAll(" ", "|")})(?![\\w./:=-]))`, "gm"));

export function highlighted(code, language) {
  const found = [];
  let at = 0;
  for (const piece of code.matchAll(pieces(language))) {
    const [kind] = Object.entries(piece.groups).find(([, text]) => text !== undefined);
    found.push(code.slice(at, piece.index), html`<span class=${kind}>${piece[0]}</span>`);
    at = piece.index + piece[0].length;
  }
  return [...found, code.slice(at)];
}
