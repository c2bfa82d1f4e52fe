"""The machine around us: files, standard streams, processes, progress, text for people. Knows no
video."""
