"""What the shop starts by itself; it returns values and texts nobody."""
