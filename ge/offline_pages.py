"""Let the pages of Great Expectations load everything from their own site.

Great Expectations writes pages that load scripts, styles and pictures from public servers. ``page_files.json`` lists
the npm packages that have the same scripts and styles, and the addresses that each file replaces.
"""

import json
import re
import shutil
from pathlib import Path

LIST = Path(__file__).with_name("page_files.json")
FOLDER = Path("static", "npm")
_PICTURES = re.compile(
    r"https://great-expectations-web-assets\.s3\.us-east-2\.amazonaws\.com/(?:full_logo_dark|logo-long)\.png[^\"')]*"
)
# Browsers refuse files with a hash where pages are opened without a web server; the fetched files' were verified.
_HASH = re.compile(r' integrity="[^"]*" crossorigin="[^"]*"')
_LOADED = re.compile(
    r"<(?:script|link|img|iframe|source)\b[^>]*?\b(?:src|href)=[\"']?((?:https?:)?//[^\"'\s>]+)"
    r"|url\(['\"]?((?:https?:)?//[^)'\"]+)"
)


def localize(site: Path, files: Path) -> None:
    """Add the listed files from the folder ``files`` to ``site``, and let each page of it load these.

    Raises:
        OSError: a listed file is missing.
        ValueError: a page would still load something from another host.
    """
    local = {}
    for listed in json.loads(LIST.read_text(encoding="utf-8")):
        path = Path(listed["target"])
        target = site / FOLDER / path
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(files / path, target)
        local.update(dict.fromkeys(listed["urls"], (FOLDER / path).as_posix()))
    for page in site.rglob("*.html"):
        top = "../" * (len(page.relative_to(site).parts) - 1)
        text = _HASH.sub("", page.read_text(encoding="utf-8"))
        for url, path in local.items():
            text = re.sub(rf"(?<=[\"']){re.escape(url)}(?=[\"'])", f"{top}{path}", text)
        text = re.sub(r'(?<=href=")[./]*(?=static/images/favicon\.ico")', top, text)  # theirs is a folder short
        text = _PICTURES.sub(f"{top}static/images/logo-long.png", text)
        if found := [first or second for first, second in _LOADED.findall(text)]:
            raise ValueError(f"{page.relative_to(site)} loads {', '.join(found)}; next: add it to {LIST.name}")
        page.write_text(text, encoding="utf-8")
