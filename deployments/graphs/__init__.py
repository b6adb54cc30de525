"""ONNX graphs built from checkpoints, with onnxruntime's fused operators.

builder  puts together a graph
rows     what a row of its inputs holds, and which tokens attend to which
blocks   the parts of a transformer
heads    text models: encoders, and the heads of sparse and late-interaction models
ragged   the same for texts without rows
pooling  from the tokens of those to a row a text
clip     both sides of CLIP
siglip   both sides of SigLIP
towers   what CLIP and SigLIP share
cache    graphs that were built before
"""
