"""A live page of studies, read-only, from their ledger."""
