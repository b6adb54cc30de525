"""The demo: fill two collections of a running service, and search them.

| file | what is in it |
|---|---|
| `walkthrough` | the demo as it is told, step by step |
| `collections` | the two collections |
| `corpus` | the texts |
| `drawings` | the images, drawn |
| `upload` | points, batch by batch |
| `searches` | the searches |
"""
