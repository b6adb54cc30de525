"""Networks that onnxruntime runs, and how inputs share their rows."""
