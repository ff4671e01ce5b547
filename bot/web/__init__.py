"""The edge in: one file per outside party, and the pages."""
