"""Networks that the encoder alone runs, and the layers that training shares with it."""
