"""Checks that names and texts are safe in paths, HTML, Markdown and a terminal."""

from __future__ import annotations

import re
import unicodedata

from clir_bench.core.display import printable, unseen

NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9 ._+@:/=()-]{0,99}")
"""Systems' names: nothing that HTML, Markdown, YAML or a shell reads as more than itself."""

LONGEST_TEXT = 1000
_DEVICES = {
    "con",
    "prn",
    "aux",
    "nul",
    *(f"{port}{n}" for port in ("com", "lpt") for n in "123456789"),
}
_URL = re.compile(r"https?://[A-Za-z0-9.-]+(:[0-9]{1,5})?(/[A-Za-z0-9._~/?#=&%+:,;@()-]*)?")
_LONGEST_URL = 300
_SEPARATORS = re.compile(r"[ ._:/()-]+")
_LOOKS = (("rn", "m"), ("vv", "w"), ("0", "o"), ("1", "l"), ("i", "l"))
"""Characters that look like others; case is ignored."""
_FOLDERS = re.compile(
    r"""(?<![^\s=:,'"])(?:~|\.{1,2}|[A-Za-z]:)?[/\\](?![/\\])(?:[^\s/\\=:,'"]+[/\\]+)*"""
)


def name_problem(name: str) -> str | None:
    """Say why a system's name is not safe everywhere it is shown, None when it is.

    >>> name_problem("my-org/encoder v2") is None
    True
    """
    if name.partition(".")[0].casefold() in _DEVICES:
        return f"name {printable(name)} is a device on Windows; choose another name for the system"
    if NAME.fullmatch(name) and not name.endswith(" ") and ".." not in name:
        return None
    return (
        f"name {printable(name)} must be 1 to 100 ASCII letters, digits and ._+@:/=()- or spaces, "
        "begin with a letter or digit and have no '..'; choose another name for the system"
    )


def looks(name: str) -> str:
    """Return how a system's name is read: equal for names that are easily confused.

    Case, separators and letters that look alike make no difference; a separator between two digits
    does.

    >>> looks("Optical-") == looks("0pt1cal") == looks("optical")
    True
    >>> looks("e5-1.5") == looks("e5-15")
    False
    """
    plain = _SEPARATORS.sub("-", unicodedata.normalize("NFKC", name).casefold())
    plain = re.sub(r"(?<![0-9])-|-(?![0-9])", "", plain)
    for seen, read in _LOOKS:
        plain = plain.replace(seen, read)
    return plain


def text_problem(text: str, longest: int = LONGEST_TEXT) -> str | None:
    """Say why a text is not one plain line, None when it is.

    Letters of every script are plain; control characters, line ends and characters that reverse
    the direction of what follows are not.

    >>> text_problem("safe\\u202ecod.exe")
    'has an invisible or direction-changing character (U+202E); remove it'
    """
    if len(text) > longest:
        return f"has {len(text):,} characters; expected at most {longest:,}"
    if text.isascii() and text.isprintable():
        return None
    for position, character in enumerate(text):
        if kind := unseen(text, position):
            return f"has {kind} (U+{ord(character):04X}); remove it"
    return None


def url_problem(url: str) -> str | None:
    """Say why an address is no plain web address, None when it is one."""
    if len(url) <= _LONGEST_URL and _URL.fullmatch(url):
        return None
    return f"must be a plain http:// or https:// address, found {printable(url)}"


def without_folders(text: str) -> str:
    """Return a command or a model's address without the folders of its machine.

    >>> without_folders("clir-bench run -m st:/home/ada/models/mine -o /tmp/results")
    'clir-bench run -m st:mine -o results'
    """
    return _FOLDERS.sub("", text)
