"""Tests of links.py and readability.py: python3 -m unittest discover -s scripts"""

import pathlib
import tempfile
import unittest

import links
import readability


class Links(unittest.TestCase):
    def setUp(self):
        self.folder = tempfile.TemporaryDirectory(dir=links.ROOT / "scripts")
        self.addCleanup(self.folder.cleanup)
        self.page = pathlib.Path(self.folder.name).resolve() / "page.md"
        self.page.write_text("# A page: `cvae` & more\n\n## Twice\n\n## Twice\n\n```\n# no heading\n```\n")

    def test_headings_get_the_names_that_forges_give_them(self):
        self.assertEqual(links.anchors(self.page), {"a-page-cvae--more", "twice", "twice-1"})

    def test_files_and_headings_must_exist(self):
        for link in ["page.md", "page.md#twice-1", "#twice", "https://example.org/a#b", "../links.py"]:
            self.assertEqual(links.fault(self.page, link), "", link)
        for link, said in [
            ("missing.md", "does not exist"),
            ("page.md#no-heading", "has no heading"),
            ("http://example.org", "https://"),
            ("/etc/passwd", "leads out"),
        ]:
            self.assertIn(said, links.fault(self.page, link), link)

    def test_links_are_found_and_code_is_none(self):
        text = links.without_code("[a](x.md) ![b](y.png) [`c`](z.md#d) `[e](no.md)`\n```\n[f](no.md)\n```\n")
        self.assertEqual([match.group(1) for match in links.LINK.finditer(text)], ["x.md", "y.png", "z.md#d"])


class Readability(unittest.TestCase):
    def test_prose_counts_and_nothing_else(self):
        text = "# Title of a page\n\nOne `x.y()` two.\nThree, e.g. four!\n\n| a | b |\n\n- Item five\n  goes on.\n- Item six.\n\n```\nx y\n```\n"
        words = [" ".join(sentence) for sentence in readability.sentences(text)]
        self.assertEqual(words, ["One CODE two", "Three eg four", "Item five goes on", "Item six"])

    def test_numbers_do_not_end_sentences(self):
        self.assertEqual(len(readability.sentences("It is 99.99 % of 6,804 in [a. b](c.md) at least.")), 2)

    def test_syllables(self):
        for word, count in [("the", 1), ("date", 1), ("table", 2), ("coverage", 4), ("condition", 3), ("learned", 1)]:
            self.assertAlmostEqual(readability.syllables(word), count, delta=1, msg=word)

    def test_hard_text_is_told_from_easy_text(self):
        easy = readability.sentences("The model draws a date. We check it. It is right.")
        hard = readability.sentences(
            "Distributional characterisation necessitates comprehensive consideration of conditional probabilities."
        )
        self.assertGreater(readability.ease(easy), 80)
        self.assertLess(readability.ease(hard), 20)


if __name__ == "__main__":
    unittest.main()
