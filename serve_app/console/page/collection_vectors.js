// The vectors that a collection has, and whose they may be.

/** [{name ("" for the one without), kind, size}], of a collection's `config.params`. */
export function vectorsOf({ vectors = {}, sparse_vectors: sparse = {} }) {
  const plain = "size" in vectors ? { "": vectors } : vectors;
  return [
    ...Object.entries(plain).map(([name, one]) => ({ name, kind: one.multivector_config ? "multivector" : "dense", size: one.size })),
    ...Object.keys(sparse ?? {}).map((name) => ({ name, kind: "sparse" })),
  ];
}

export const fits = (vector, model) => model.vector === vector.kind && (vector.kind === "sparse" || model.dimensions === vector.size);

/** Whether a vector is named after a model. */
export const isNamedAfter = (vector, model) => Boolean(vector.name) && model.name.includes(vector.name);

/** The vector that a model may be used with, one that is named after it first. */
export function vectorFor(model, vectors) {
  const fitting = vectors.filter((vector) => fits(vector, model));
  return fitting.find((vector) => isNamedAfter(vector, model)) ?? fitting[0];
}
