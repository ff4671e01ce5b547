"""The shop's own things: bookings, orders, hours, time phrases; it returns values and texts nobody."""
