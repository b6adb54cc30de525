"""From requests to batches, and how much work may wait.

| file | what is in it |
|---|---|
| `batcher` | which inputs travel together, and when: state in, batches out; no I/O |
| `router` | the batcher at work: a queue for each model, direction and set of options |
| `contexts` | work in a request's task, but in no request's context |
| `lanes` | the ways to external providers |
| `vector_cache` | vectors of searches that were asked before |
| `admission` | how many tokens may wait for a model |
"""
