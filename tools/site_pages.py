"""Pages of the site that lie outside docs/: README.md as the front page, and a few more.

A hook of mkdocs (``hooks`` in mkdocs.yml). The links of these pages are written for their place in
the source tree; here they are turned into links between the pages of the site.
"""

from __future__ import annotations

import posixpath
import re
from pathlib import Path

from mkdocs.config.defaults import MkDocsConfig
from mkdocs.structure.files import File, Files
from mkdocs.structure.pages import Page

ROOT = Path(__file__).resolve().parents[1]
# a page's place in the source tree, and in the site
PAGES = {
    "README.md": "index.md",
    "CONTRIBUTING.md": "contributing.md",
    "CHANGELOG.md": "changelog.md",
    "weights/MODEL.md": "model.md",
    "tools/README.md": "tools.md",
}
# files that pages link to, copied as they are
COPIED = ("LICENSE", "examples/my-camera.toml", "examples/released-model.toml")
_LINK = re.compile(r"(\]\()([^)#\s]+)(#[^)\s]*)?\)")


def on_files(files: Files, config: MkDocsConfig) -> Files:
    """Add the pages and files from outside docs/."""
    for source, place in PAGES.items():
        files.append(File.generated(config, place, abs_src_path=str(ROOT / source)))
    for source in COPIED:
        files.append(File.generated(config, source, abs_src_path=str(ROOT / source)))
    return files


def on_page_markdown(markdown: str, page: Page, config: MkDocsConfig, files: Files) -> str:
    """Rewrite links that are written for the source tree."""
    here = {place: source for source, place in PAGES.items()}.get(page.file.src_uri)
    here = here or f"docs/{page.file.src_uri}"

    def link(match: re.Match[str]) -> str:
        start, target, anchor = match[1], match[2], match[3] or ""
        if ":" in target:
            return match[0]
        path = posixpath.normpath(posixpath.join(posixpath.dirname(here), target))
        place = PAGES.get(path) or path.removeprefix("docs/")
        if files.get_file_from_path(place) is None:  # mkdocs says which page it was
            return match[0]
        found = posixpath.relpath(place, posixpath.dirname(page.file.src_uri) or ".")
        return f"{start}{found}{anchor})"

    return _LINK.sub(link, markdown)
