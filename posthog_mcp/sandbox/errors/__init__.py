"""Error tracking: the issues that exceptions make, and what people do with them."""
