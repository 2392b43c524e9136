"""How a global amount is split over targets by what is known of their effect."""
