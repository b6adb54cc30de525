"""The console: a page of static files that uses the management API.

| file | what is in it |
|---|---|
| `page` | the files of the page, which lie in the folder `page` |
"""
