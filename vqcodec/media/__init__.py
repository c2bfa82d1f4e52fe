"""FFmpeg's side: video files in and out, and their other tracks. Knows no networks."""
