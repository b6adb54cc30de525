// What the templates in examples/ are filled with.
import { address } from "./api.js";

const TEXTS = {
  first: "Recipe for baking chocolate chip cookies",
  second: "Changing the oil of a car",
  question: "Which cookies can I bake?",
  what: "two texts",
};
const IMAGES = {
  first: "a red circle",
  second: "a blue circle",
  question: "a red circle on a white background",
  what: "two images",
  first_image:
    "iVBORw0KGgoAAAANSUhEUgAAACAAAAAgAQMAAABJtOi3AAAABlBMVEX////mHh7W433QAAAAP0lEQVR42mNgIBawP2BgYuAQYGBiMOBhYGJgYGBgYnBgYmBg+P8fxsUkGBjq/zEwMRz4B+Pyf2BgYvjxgWhbAagkCbYcG5wGAAAAAElFTkSuQmCC",
  second_image:
    "iVBORw0KGgoAAAANSUhEUgAAACAAAAAgAQMAAABJtOi3AAAABlBMVEX///8ePNy/7LoEAAAAP0lEQVR42mNgIBawP2BgYuAQYGBiMOBhYGJgYGBgYnBgYmBg+P8fxsUkGBjq/zEwMRz4B+Pyf2BgYvjxgWhbAagkCbYcG5wGAAAAAElFTkSuQmCC",
};
const VECTOR = "text";

/** The models of an example: which one stores and which one asks. They differ for CLIP only. */
export function sides(model, models) {
  const other = models.find((one) => model.shared_with.includes(one.name));
  if (model.modality === "image") return [model, other];
  return other ? [other, model] : [model, model];
}

/** The model that stands in an example for all of a provider's, and its dimensions. */
function oneOf(model) {
  const example = model.external?.example;
  return example ? { ...model, name: example.model, dimensions: example.dimensions } : model;
}

/** The variable in which a program finds a caller's key for a provider. */
const variable = (option) => option.replaceAll("-", "_").toUpperCase();

/** The models of a hybrid example: one for the meaning and one for the words, the given one among them if it can be. */
export function pair(model, models) {
  const of = (vector) => models.filter((one) => one.vector === vector && one.modality === "text" && !one.shared_with.length && !one.external);
  const chosen = (vector) => (model.vector === vector ? model : of(vector)[0]);
  const [dense, sparse] = [chosen("dense"), chosen("sparse")];
  return dense && sparse && dense.modality === "text" && !dense.external ? { dense, sparse } : null;
}

const where = ({ collection, grpcPort, needsKey }) => ({
  collection,
  collection_path: encodeURIComponent(collection),
  key: needsKey,
  url: address.url,
  host: address.host,
  port: address.port,
  tls: address.tls,
  grpc_port: grpcPort,
  grpc_url: `${address.tls ? "https" : "http"}://${address.host}:${grpcPort}`,
});

/** `existing`: {dense, sparse}, the names of the vectors to use in a collection that is there. */
export function hybridValues({ dense, sparse }, { existing, ...place }) {
  const values = {
    ...TEXTS,
    ...where(place),
    what: "two texts, each embedded by both models",
    hybrid: true,
    sparse: true,
    named: true,
    maps: true,
    env: place.needsKey,
    new: existing === undefined,
    idf: sparse.modifier === "idf",
    dimensions: dense.dimensions,
    dense_model: dense.name,
    sparse_model: sparse.name,
    dense_vector: existing?.dense ?? "dense",
    sparse_vector: existing?.sparse ?? "sparse",
  };
  const { dense_vector, sparse_vector, dense_model, sparse_model } = values;
  const point = (id, text) => ({
    id,
    vector: { [dense_vector]: { text, model: dense_model }, [sparse_vector]: { text, model: sparse_model } },
    payload: { text },
  });
  const candidates = (model, using) => ({ query: { text: values.question, model }, using, limit: 20 });
  return {
    ...values,
    create: pretty({
      vectors: { [dense_vector]: { size: values.dimensions, distance: "Cosine" } },
      sparse_vectors: { [sparse_vector]: values.idf ? { modifier: "idf" } : {} },
    }),
    upsert: pretty({ points: [point(0, values.first), point(1, values.second)] }),
    query: pretty({
      prefetch: [candidates(dense_model, dense_vector), candidates(sparse_model, sparse_vector)],
      query: { fusion: "rrf" },
      with_payload: true,
      limit: 1,
    }),
  };
}

export const rerankValues = (model, place) => {
  const { question, first, second } = TEXTS;
  const rerank = pretty({ model: model.name, query: question, documents: [first, second] });
  return { ...TEXTS, ...where(place), model: model.name, rerank };
};

/** `existing`: the name of the vector to use ("" for the one without) in a collection that is there; without it one is created. */
export function valuesFor(model, models, { existing, ...place }) {
  const [stored, asked] = sides(model, models).map((side) => side && oneOf(side));
  const option = stored.external?.key ?? "";
  const vector = existing ?? (stored.vector === "sparse" ? VECTOR : "");
  const image = stored.modality === "image";
  const flags = { dense: false, sparse: false, multivector: false, [stored.vector]: true };
  const values = {
    ...(image ? IMAGES : TEXTS),
    ...flags,
    image,
    text: !image,
    idf: stored.modifier === "idf",
    model: stored.name,
    query_model: asked?.name ?? stored.name,
    dimensions: stored.dimensions,
    new: existing === undefined,
    named: Boolean(vector),
    vector,
    sparse_vector: vector,
    option,
    option_env: variable(option),
    maps: Boolean(vector) || Boolean(option), // Rust
    env: place.needsKey || Boolean(option),
    ...where(place),
  };
  return { ...values, ...bodies(values) };
}

const pretty = (body) => JSON.stringify(body, null, 2);

function bodies(values) {
  const point = (id, text, image) => ({ id, vector: vectorOf(values, text, image), payload: { text } });
  return {
    create: pretty(collection(values)),
    upsert: pretty({ points: [point(0, values.first, values.first_image), point(1, values.second, values.second_image)] }),
    query: pretty({
      query: { text: values.question, model: values.query_model, ...optionsOf(values) },
      ...(values.named && { using: values.vector }),
      with_payload: true,
      limit: 1,
    }),
  };
}

function collection({ sparse, idf, multivector, dimensions }) {
  if (sparse) return { sparse_vectors: { [VECTOR]: idf ? { modifier: "idf" } : {} } };
  const size = { size: dimensions, distance: "Cosine" };
  return { vectors: multivector ? { ...size, multivector_config: { comparator: "max_sim" } } : size };
}

function vectorOf(values, text, data) {
  const { image, named, vector, model } = values;
  const object = { ...(image ? { image: data, model } : { text, model }), ...optionsOf(values) };
  return named ? { [vector]: object } : object;
}

/** The key of a caller's own, which nobody but the program's reader can put there. */
const optionsOf = ({ option, option_env }) => option && { options: { [option]: `YOUR_${option_env}` } };
