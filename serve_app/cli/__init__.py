"""The command line: `qdrant-inference`.

| file | what is in it |
|---|---|
| `main` | `up`, `demo`, `store`, and the version |
| `launcher` | a whole service on this machine: Ray, Ray Serve and HAProxy |
| `ports` | which ports are taken, and by whom |
| `models`, `models_add` | `models`: list, pull, benchmark, and add an entry to a catalogue |
| `config`, `config_check` | `config`: validate a Serve config file without a cluster |
| `files` | the files that come with the project, and the user's own |
| `terminal` | one console, errors in one line, Ctrl-C without a traceback |
"""
