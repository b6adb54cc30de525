"""The console: a JSON API (`openapi.json`) beside Qdrant's own, and the page that uses it.

routes         which path is answered by whom
models         what each model is and how it is
usage          what was used, and what it costs
playground     what models make of some inputs
embeddings     OpenAI's embeddings
page           the files of the page
"""
