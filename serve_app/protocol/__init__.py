"""Messages of both protocols, without I/O.

| file | what is in it |
|---|---|
| `messages` | one HTTP request and its answer, or one gRPC call |
| `grpc_framing` | how gRPC writes messages and bytes over HTTP |
| `grpc_services` | the methods of Qdrant's services |
| `qdrant_messages` | Qdrant's gRPC messages, without the rest of its client |
| `error_responses` | from an error to the status that each protocol has for it |
| `deadlines` | for how long a request is worked on |
| `timers` | waits that hardly ever last until their end |
| `compression` | compressed request bodies |
| `json_text` | JSON that others send, within the time that one call may take |
| `json_pieces` | JSON of megabytes, parsed in pieces |
| `long_containers` | what is freed step by step |
| `message_pieces` | the same for Protocol Buffers |
| `offload` | long bodies are looked through in a thread, and threads take short turns |
| `paths` | paths in one spelling |
"""
