"""What kdkit is measured against: loops written by hand, as one would without it, and as others are."""
