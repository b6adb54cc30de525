"""The description of the management API, OpenAI's endpoints and rerankers: `openapi.json`, generated from models of answers.

`make openapi` renews the file. A test compares it with what these modules generate; and the tests of the API hold each
answer against it. The gateway itself only serves the file.

| file | what is in it |
|---|---|
| `base` | what all models and operations here are made of |
| `access`, `models`, `live`, `health`, `usage`, `settings`, `playground`, `embeddings`, `rerank` | one subject each: its answers, and its operations with examples |
| `errors` | what every operation may answer instead |
| `document` | the document, put together |
"""  # noqa: E501  a table
