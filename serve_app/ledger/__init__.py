"""The ledger: what was used, by whom, what is switched off, and who has used up a quota.

Requests touch memory alone (`meter`). More than once a second, `ledger` takes what was counted to the database and
brings back what other ingress replicas have written there.

| file | what is in it |
|---|---|
| `meter` | what every request passes: switches and quotas before the models, counting after them |
| `switches`, `switchboard` | what is off; and the object that the ledger, the meter and the aliases share for it |
| `additions`, `added_rows` | models that were added while the service ran; their rows in the database |
| `quotas` | how many tokens a tenant may use, and has used |
| `counts`, `costs` | usage added up by hour, model, tenant and operation; what it costs |
| `live_rates`, `history` | what is done in a second, and how long it takes; the last three minutes of it |
| `ledger`, `sync` | one replica's way to the database, and what passes on it |
| `database`, `database_thread` | SQLite or PostgreSQL, in a thread of its own |
| `tables`, `migration`, `migrations/` | the schema, and its way up from older ones |
"""
