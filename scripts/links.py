#!/usr/bin/env python3
"""Checks every link in the project's Markdown: files exist, headings exist, the book lists every page.

    python3 scripts/links.py

Paths of sources in backticks are checked as well. Links to the web are checked for their form alone, so that no network
is needed.
"""

import pathlib
import re
import subprocess
import sys
import unicodedata

ROOT = pathlib.Path(__file__).resolve().parent.parent
# The book's own table of contents, and pages that it need not list.
SUMMARY = "docs/SUMMARY.md"
LINK = re.compile(r"\[(?:[^\[\]]|\[[^\]]*\])*\]\(\s*<?([^)\s>]+)>?(?:\s+\"[^\"]*\")?\s*\)")
TAG = re.compile(r"<(?:a|img)\b[^>]*?\b(?:href|src)=\"([^\"]+)\"")
PATH = re.compile(r"`((?:src|tests|scripts|torch|benches|fuzz|docs|experiments|report|model)/[\w./-]*)`")
HEADING = re.compile(r"^(#{1,6})\s+(.*?)\s*#*\s*$", re.MULTILINE)


def documents():
    """Every Markdown file of the project, in order: those that git knows, or would add."""
    command = ["git", "ls-files", "--cached", "--others", "--exclude-standard", "*.md"]
    names = subprocess.run(command, cwd=ROOT, stdout=subprocess.PIPE, check=True, universal_newlines=True).stdout
    return [ROOT / name for name in sorted(set(names.splitlines())) if (ROOT / name).exists()]


def without_code(text):
    """A page less its code, in which brackets are no links."""
    text = re.sub(r"^(`{3,}|~{3,}).*?^\1", "", text, flags=re.MULTILINE | re.DOTALL)
    return re.sub(r"`[^`\n]*`", lambda match: "`" + "x" * (len(match.group()) - 2) + "`", text)


def anchor(heading):
    """The name that forges and mdBook give a heading."""
    heading = re.sub(r"!?\[([^\]]*)\]\([^)]*\)", r"\1", heading).replace("`", "")
    kept = (letter for letter in heading.lower() if letter in " -_" or unicodedata.category(letter)[0] in "LN")
    return "".join(kept).strip().replace(" ", "-")


def anchors(path):
    """All anchors of a page; headings of one name are numbered."""
    text = re.sub(r"^(`{3,}|~{3,}).*?^\1", "", path.read_text(), flags=re.MULTILINE | re.DOTALL)
    found, seen = set(re.findall(r"<a (?:id|name)=\"([^\"]+)\"", text)), {}
    for _, heading in HEADING.findall(text):
        name = anchor(heading)
        found.add(f"{name}-{seen[name]}" if name in seen else name)
        seen[name] = seen.get(name, 0) + 1
    return found


def fault(page, link):
    """What is wrong with a link of a page; empty where nothing is."""
    if re.match(r"[a-z][a-z0-9+.-]*:", link):
        fine = re.fullmatch(r"https://[a-z0-9.-]+\.[a-z]{2,}(/\S*)?|mailto:\S+@\S+", link)
        return "" if fine else "a link to the web begins with https:// and names a host"
    file, _, part = link.partition("#")
    target = (page.parent / file).resolve() if file else page
    if not target.exists():
        return f"{target} does not exist".replace(f"{ROOT}/", "")
    if ROOT not in target.parents and target != ROOT:
        return "it leads out of the project"
    if part and target.suffix == ".md" and part not in anchors(target):
        return f"{target.relative_to(ROOT)} has no heading #{part}"
    return ""


def main():
    faults, links, pages = [], 0, documents()
    for page in pages:
        whole = page.read_text()
        for path in PATH.findall(whole):
            if page.name != "CHANGELOG.md" and not (ROOT / path).exists():
                faults.append(f"{page.relative_to(ROOT)}: {path} does not exist")
        text = without_code(whole)
        for match in list(LINK.finditer(text)) + list(TAG.finditer(text)):
            links += 1
            wrong = fault(page, match.group(1))
            if wrong:
                line = text[: match.start()].count("\n") + 1
                faults.append(f"{page.relative_to(ROOT)}: near line {line}: {match.group(1)}: {wrong}")
    summary = ROOT / SUMMARY
    if summary.exists():
        listed = {(summary.parent / link).resolve() for link in LINK.findall(summary.read_text())}
        for page in pages:
            if page.parent == summary.parent and page != summary and page not in listed:
                faults.append(f"{SUMMARY}: {page.name} is not listed")
    for text in faults:
        print(text, file=sys.stderr)
    print(f"{links} links in {len(pages)} Markdown files, {len(faults)} faults")
    return 1 if faults else 0


if __name__ == "__main__":
    sys.exit(main())
