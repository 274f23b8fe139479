"""The public capture endpoints: what SDKs send, decoded, checked and handed to ingestion."""
