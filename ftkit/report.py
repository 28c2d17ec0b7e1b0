"""placeholder"""
from dataclasses import dataclass
@dataclass(frozen=True)
class Page:
    html: str
    markdown: str
def render(comparison):
    return Page("", "")
