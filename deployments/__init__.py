"""The models: what they are, where their files come from, and how they run.

errors       every error that we raise ourselves
kinds        the words for kinds of vectors
contract     what crosses a Serve call, and what the gateway needs of a model
channel      calls of a replica from its own machine
metrics      instruments, and what replicas measure with them
catalogue    what each model is
autoscaling  policies: how many replicas a model needs
files        where the files of models come from, and the cache where they are kept
images       images from strangers: fetched, decoded, cut to a model's size
graphs       ONNX graphs built from checkpoints
networks     what onnxruntime runs, and how inputs share its rows
families     the kinds of models: each prepares a batch and runs parts of it
replica      the Serve deployment of a model
onboarding   a model of one's own: inspected, checked, timed

Each uses those above it, and none below.
"""

import os

# Read when the libraries are imported, which happens below this package only; who wants their reports sets 0.
os.environ.setdefault("ORT_DISABLE_TELEMETRY", "1")
os.environ.setdefault("HF_HUB_DISABLE_TELEMETRY", "1")
