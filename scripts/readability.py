#!/usr/bin/env python3
"""Checks that documents are easy to read: no long sentences, and a Flesch reading ease of at least 50 where asked.

    python3 scripts/readability.py          fails where a sentence has over 30 words or a page is too hard
    python3 scripts/readability.py --show   prints the figures of every page

Flesch reading ease (Flesch 1948): 206.835 - 1.015 words per sentence - 84.6 syllables per word. Prose counts, with
list items as sentences; code blocks, tables, headings, formulas and pictures do not. Code within a line is one word of
a sentence's length, and left out of the reading ease. Syllables are counted by a rule of thumb: groups of vowels, less
a silent e.
"""

import argparse
import re
import sys

from links import ROOT, documents

LONGEST = 30
EASIEST = 50
# The pages that a new reader meets first.
EASY = ("README.md", "docs/tutorial.md")
# Written by programs, or quoted.
GENERATED = ("docs/commands.md", "docs/columns.md", "benches/RESULTS.md", "benches/TIME_TO_QUALITY.md")
# What stands for code within a line.
CODE = "CODE"
# Full stops that end no sentence.
ABBREVIATIONS = re.compile(r"\b(e\.g|i\.e|et al|etc|vs|cf)\.", re.IGNORECASE)


def prose(text):
    """The paragraphs of a page, less what is no prose."""
    text = re.sub(r"^(`{3,}|~{3,}).*?^\1", "", text, flags=re.MULTILINE | re.DOTALL)
    text = re.sub(r"<!--.*?-->", "", text, flags=re.DOTALL)
    text = re.sub(r"\$\$.*?\$\$", "", text, flags=re.DOTALL)
    paragraphs, lines, in_list = [], [], False

    def close():
        if lines:
            paragraphs.append(" ".join(lines))
            lines.clear()

    for line in text.splitlines():
        item = re.match(r"\s*(?:[-*+]|\d+\.)\s+(.*)", line)
        if not line.strip():
            close()
            continue
        if line.startswith(("#", "|", "<")) or (line.startswith("    ") and not in_list):
            close()
            in_list = False
            continue
        if item:
            close()
        in_list = bool(item) or (in_list and line.startswith(" "))
        lines.append(item.group(1) if item else line.strip("> "))
    close()
    return paragraphs


def sentences(text):
    """The sentences of a page, as lists of words."""
    found = []
    for paragraph in prose(text):
        paragraph = re.sub(r"!\[[^\]]*\]\([^)]*\)", "", paragraph)
        paragraph = re.sub(r"`+[^`]*`+", CODE, paragraph)
        paragraph = re.sub(r"\[([^\]]*)\]\([^)]*\)", r"\1", paragraph)
        paragraph = ABBREVIATIONS.sub(lambda match: match.group(1).replace(".", ""), paragraph)
        paragraph = re.sub(r"(\d)[.,](\d)", r"\1\2", paragraph)
        for sentence in re.split(r"[.!?]+[)\"'*_]*(?:\s+|$)", paragraph):
            words = re.findall(r"[^\W_]+(?:['’-][^\W_]+)*", sentence)
            if words:
                found.append(words)
    return found


def syllables(word):
    """How many syllables a word is likely to have."""
    word = word.lower()
    if word.isdigit():
        return 1
    count = 0
    for part in word.split("-"):
        groups = len(re.findall(r"[aeiouy]+", part))
        silent = part.endswith("e") and not part.endswith(("le", "ee")) or re.search(r"[^aeiouytd]ed$", part)
        count += max(groups - bool(silent and groups > 1), 1)
    return count


def ease(found):
    """Flesch reading ease of sentences."""
    words = [word for sentence in found for word in sentence if word != CODE]
    return 206.835 - 1.015 * len(words) / len(found) - 84.6 * sum(map(syllables, words)) / len(words)


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--show", action="store_true", help="print the figures of every page")
    show = parser.parse_args().show
    faults = []
    for path in documents():
        name = str(path.relative_to(ROOT))
        found = sentences(path.read_text())
        if name in GENERATED or not found:
            continue
        score = ease(found)
        if show:
            words = sum(map(len, found))
            print(f"{name:<24} {words:6} words  {words / len(found):5.1f} a sentence  ease {score:5.1f}")
        for sentence in found:
            if len(sentence) > LONGEST:
                faults.append(f"{name}: {len(sentence)} words, {LONGEST} at most: {' '.join(sentence[:12])} ...")
        if name in EASY and score < EASIEST:
            faults.append(f"{name}: reading ease {score:.1f}, at least {EASIEST} is asked; use shorter words and sentences")
    for fault in faults:
        print(fault, file=sys.stderr)
    return 1 if faults else 0


if __name__ == "__main__":
    sys.exit(main())
