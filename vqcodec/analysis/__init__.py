"""What a video shows, read from how it is coded: shots, activity, cameras, likeness."""
