"""``/docs``: the endpoints of ``/openapi.json`` as one page of plain HTML, which needs no script and nothing else."""

from base64 import b64encode
from collections.abc import Iterator
from hashlib import sha256
from html import escape
from typing import Any
from urllib.parse import urlencode

from fastapi import APIRouter
from starlette.requests import Request
from starlette.responses import HTMLResponse

router = APIRouter(include_in_schema=False)

_STYLE = """
:root { color-scheme: light dark; }
body { font: 1rem/1.5 system-ui, sans-serif; max-width: 60rem; margin: 0 auto; padding: 1rem; }
h2 { margin-top: 2.5rem; }
h3 { font: 600 1rem/1.5 ui-monospace, monospace; margin: 1.5rem 0 0; }
p { margin: 0.25rem 0; }
table { border-collapse: collapse; width: 100%; }
th, td { border-bottom: 1px solid; padding: 0.25rem 0.5rem; text-align: left; vertical-align: top; font-weight: 400; }
.scroll { overflow-x: auto; }
"""
_HASH = b64encode(sha256(_STYLE.encode()).digest()).decode()
_HEADERS = {
    "Content-Security-Policy": (
        f"default-src 'none'; style-src 'sha256-{_HASH}'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
    ),
    "Referrer-Policy": "no-referrer",
    "X-Content-Type-Options": "nosniff",
}
_EXAMPLES = {"symbol": "BTCUSDT", "interval": "1m"}


@router.get("/docs")
async def docs(request: Request) -> HTMLResponse:
    """Return the page."""
    return HTMLResponse(page(request.app.openapi()), headers=_HEADERS)


def page(document: dict[str, Any]) -> str:
    """Return the page of an OpenAPI document."""
    title = escape(document["info"]["title"])
    return (
        f'<!doctype html><html lang="en"><head><meta charset="utf-8"><title>{title}: API</title>'
        f'<meta name="viewport" content="width=device-width"><style>{_STYLE}</style></head>'
        f"<body><h1>{title}: API</h1>"
        '<p>The same for programs: <a href="/openapi.json">/openapi.json</a>. <a href="/">Live page</a></p>'
        f"<main>{''.join(_sections(document['paths']))}</main></body></html>"
    )


def _sections(paths: dict[str, dict[str, Any]]) -> Iterator[str]:
    sections: dict[str, list[str]] = {}
    for path, methods in paths.items():
        for method, operation in methods.items():
            tag = operation.get("tags", ["other"])[0]
            sections.setdefault(tag, []).append(_operation(path, method, operation))
    for tag, operations in sections.items():
        yield f"<section><h2>{escape(tag.capitalize())}</h2>{''.join(operations)}</section>"


def _operation(path: str, method: str, operation: dict[str, Any]) -> str:
    parameters = operation.get("parameters", [])
    example = {
        parameter["name"]: _EXAMPLES.get(parameter["name"], "1") for parameter in parameters if parameter["required"]
    }
    address = escape(f"{path}?{urlencode(example)}" if example else path)
    rows = "".join(map(_row, parameters))
    table = f'<div class="scroll"><table>{rows}</table></div>' if rows else ""
    return (
        f'<h3>{method.upper()} <a href="{address}">{escape(path)}</a></h3>'
        f"<p>{escape(operation.get('description') or operation.get('summary', ''))}</p>{table}"
    )


def _row(parameter: dict[str, Any]) -> str:
    schema = parameter["schema"]
    kinds = [kind for kind in schema.get("anyOf", [schema]) if kind.get("type") != "null"]
    kind = ", ".join(map(str, kinds[0]["enum"])) if "enum" in kinds[0] else str(kinds[0].get("type", ""))
    default = f"default {schema['default']}" if schema.get("default") not in (None, "") else ""
    need = "required" if parameter["required"] else default or "optional"
    cells = [need, kind, parameter.get("description", "")]
    name = f'<th scope="row"><code>{escape(parameter["name"])}</code></th>'
    return f"<tr>{name}{''.join(f'<td>{escape(cell)}</td>' for cell in cells)}</tr>"
