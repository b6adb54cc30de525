"""Finding inference objects in a request and putting vectors in their place: pure functions, no I/O, no async.

| file | what is in it |
|---|---|
| `objects` | inference objects, and the slots where they stand |
| `places` | the places where a vector may stand, as a table |
| `field_aliases` | names that Qdrant takes beside those of its schema |
| `find_json`, `find_proto` | the slots in a JSON body, in a gRPC message |
| `message_heads` | whether a gRPC message may hold one, without decoding it |
| `bounds` | how much a request may ask for |
| `provider_keys` | callers' keys for external providers |
| `plan` | what has to be computed, without duplicates |
| `token_estimates` | about how many tokens that is |
| `fill` | vectors into the slots |
| `usage` | tokens by model, and how an answer tells them |
| `service_protocol` | the protocol of Qdrant's inference service |
"""
