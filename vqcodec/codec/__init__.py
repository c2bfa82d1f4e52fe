"""What the format means, in integers: what every decoder must do. See docs/format.md."""
