"""The ledger: what was used, by whom, what is switched off, and who has used up a quota.

Requests touch memory alone (`meter`). More than once a second, `ledger` takes what was counted to the database and
brings back what other ingress replicas have written there.
"""
