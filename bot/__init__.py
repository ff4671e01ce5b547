"""The conversation engine: receives texts, decides who speaks, changes bookings and orders, sends replies."""
