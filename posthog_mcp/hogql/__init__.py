"""HogQL without a server: text to a typed tree and back."""
