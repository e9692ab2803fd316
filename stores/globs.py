"""Globs, over any store."""

from __future__ import annotations

import fnmatch
import re
from collections.abc import Iterator

from .base import FileInfo, Store, join, name_of, scheme

_WILDCARD = re.compile(r"[*?\[]")


def has_wildcard(path: str) -> bool:
    """Whether a path is a pattern."""
    return bool(_WILDCARD.search(path))


def find(store: Store, pattern: str) -> list[FileInfo]:
    """The objects a glob matches, by path; see `storage.find`."""
    root, segments = _fixed_root(pattern)
    if not segments:
        found = store.stat(root)
        return [found] if found else []
    return sorted({f.path: f for f in _expand(store, root, segments)}.values(), key=lambda f: f.path)


def _fixed_root(pattern: str) -> tuple[str, list[str]]:
    """Cuts a pattern into the folder before its first wildcard and the segments after."""
    begin = 3 if scheme(pattern) else 0  # the bucket belongs to the root
    segments = pattern.split("/")
    first = next((i for i, s in enumerate(segments) if i >= begin and has_wildcard(s)), len(segments))
    root = "/".join(segments[:first])
    return root or ("/" if pattern.startswith("/") else ""), segments[first:]


def _expand(store: Store, folder: str, segments: list[str]) -> Iterator[FileInfo]:
    """Objects below a folder that the segments match."""
    segment, rest = segments[0], segments[1:]
    if not has_wildcard(segment):
        yield from _named(store, join(folder, segment), rest)
        return
    if segment == "**":
        yield from _expand(store, folder, rest or ["*"])
    folders, files = store.children(folder)
    wanted = re.compile(fnmatch.translate("*" if segment == "**" else segment))
    hidden = tuple({".", "_"} - {segment[0]})
    for child in folders:
        if wanted.match(name_of(child)) and not name_of(child).startswith(hidden):
            yield from _expand(store, child, segments if segment == "**" else rest) if rest or segment == "**" else ()
    if not rest and segment != "**":
        yield from (f for f in files if wanted.match(name_of(f.path)) and not name_of(f.path).startswith(hidden))


def _named(store: Store, path: str, rest: list[str]) -> Iterator[FileInfo]:
    if rest:
        yield from _expand(store, path, rest)
    elif found := store.stat(path):
        yield found
