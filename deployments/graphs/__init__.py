"""ONNX graphs built from checkpoints, with onnxruntime's fused operators."""
