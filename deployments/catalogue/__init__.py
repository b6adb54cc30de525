"""The catalogue of models: what each one is, and which options it takes."""
