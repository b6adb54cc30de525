"""Who may do what: credentials, permissions, tenants.

| file | what is in it |
|---|---|
| `access` | who may come in, and what they may do there |
| `permissions` | what each route and method of Qdrant's APIs needs |
| `jwt` | tokens as Qdrant takes them |
| `tenants` | callers with names, keys and quotas of their own |
"""
