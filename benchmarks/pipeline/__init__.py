"""The gateway's own processor time for a request: the pipeline alone in one process, compared between two commits.

| file | what is in it |
|---|---|
| `__main__` | has two trees measured in turns, and prints their ratio |
| `worker` | the process that runs one tree's gateway, and does what it is asked on its input |
| `kinds` | what is sent |
| `stubs` | models, a Qdrant and a channel that answer at once |
| `gateway` | this tree's gateway with models and a Qdrant that answer at once |
| `e394067` | the same of the commit with which all is compared, whose files stood elsewhere |
| `profiling` | where the time goes, and how many instructions it is |
"""
