"""What can be seen of the gateway at work; never what a request holds.

It imports nothing else of the gateway.

| file | what is in it |
|---|---|
| `metrics` | the table of the gateway's metrics |
| `record` | what became of one request: begun and ended by the APIs, filled on its way |
| `tracing` | OpenTelemetry spans of a request and its steps |
| `request_log` | one line for each request |
"""
