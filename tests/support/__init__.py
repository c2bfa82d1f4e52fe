"""What several tests share: clips, stand-ins for the networks, listings of files, clocks."""
