"""The command line: `qdrant-inference`.

| file | what is in it |
|---|---|
| `main` | all commands, `demo`, `store`, and the version |
| `up` | `up`: a service from start to stop, and what it says |
| `serve_config` | a Serve config file, and what options of `up` change in it |
| `launcher` | a whole service on this machine: Ray, Ray Serve and HAProxy |
| `ray_processes` | which processes Ray starts on one machine |
| `run_folder` | where a run has its files, and what stays of earlier ones |
| `worker_paths` | which code Ray's workers run |
| `ports`, `neighbours` | which ports are taken, and who answers there |
| `models`, `models_add` | `models`: list, pull, benchmark, and add an entry to a catalogue |
| `remote` | a running service, to which models are added |
| `config`, `config_check` | `config`: validate a Serve config file without a cluster |
| `files` | the files that come with the project, and the user's own |
| `terminal` | one console, one error a line, Ctrl-C without a traceback |
| `examples` | the examples below the help of each command |
"""
