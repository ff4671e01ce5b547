"""Who carries the texts: one port, one file per carrier."""
