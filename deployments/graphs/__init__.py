"""ONNX graphs built from checkpoints, with onnxruntime's fused operators.

checkpoint  a model's files as Hugging Face lays them out
builder     puts together a graph
bert        BERT and its relatives, with the heads of dense, sparse and late-interaction models
clip        both sides of CLIP
cache       graphs that were built before
"""
