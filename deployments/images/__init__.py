"""Images from strangers: fetched by URL, taken apart, decoded, and cut to a model's size."""
