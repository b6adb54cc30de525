"""Networks that onnxruntime runs, and how inputs share their rows.

settings  where a model runs, in which precision, on how many threads
session   runs an ONNX model; the one file that imports onnxruntime
layouts   which inputs go well together in a run
packing   several texts in one row
base      what a network is to the families: a function of token ids
padded    each text in a row of its own
packed    several texts in a row, whole or in pieces
ragged    all tokens one behind the other, without rows
replays   a text alone as a CUDA graph
opening   which of these a model gets, by provider and family
"""
