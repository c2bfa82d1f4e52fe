"""An independent decoder of .vqv files: numpy and plain integers, and zstd for what is compressed,
slow, written from docs/format.md alone.

One file for each section of that page, in its words and in its order. Nothing of the package
``vqcodec`` is imported here: where both decoders give the same pixels, the page says what the
product does.
"""

from .container import read_file
from .decode import decode_file, decode_gop
from .model import load_model
from .tracks import read_tracks

__all__ = ["decode_file", "decode_gop", "load_model", "read_file", "read_tracks"]
