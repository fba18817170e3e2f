"""templates: the HTML of errors/ by jinja2, which escapes every text but `Markup`, what the templates return."""

from pathlib import Path

from jinja2 import Environment, FileSystemLoader, StrictUndefined, Template

_TEMPLATES = Environment(
    loader=FileSystemLoader(Path(__file__).parent), autoescape=True, undefined=StrictUndefined, auto_reload=False
)


def template(name: str) -> Template:
    """The template `NAME.j2`, compiled once; its macros are functions of `.module`."""
    return _TEMPLATES.get_template(f"{name}.j2")
