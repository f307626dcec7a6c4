"""Add files to the documentation site that are made while it is built: MkDocs calls this module."""

import os
from pathlib import Path

from mkdocs.config.defaults import MkDocsConfig
from mkdocs.structure.files import File, Files

GENERATED = "DOCS_GENERATED_DIR"


def on_files(files: Files, config: MkDocsConfig) -> Files:
    """Add the files under the folder that DOCS_GENERATED_DIR names, at the same paths."""
    folder = Path(os.environ[GENERATED])
    for path in sorted(folder.rglob("*")):
        if path.is_file():
            files.append(File.generated(config, path.relative_to(folder).as_posix(), abs_src_path=str(path)))
    return files
