"""Tests of how a wheel is unpacked; nothing is downloaded.

    python3 -m unittest discover -s scripts
"""

import pathlib
import tempfile
import unittest
import unittest.mock
import zipfile

import libtorch

MEMBERS = {"torch/lib/libc10.so": "lib/libc10.so", "torch/include/": "include/"}


class Unpack(unittest.TestCase):
    def unpacked(self, stale):
        """The files after unpacking over those that stand there, by their paths."""
        with tempfile.TemporaryDirectory() as name:
            target, wheel = pathlib.Path(name) / "target", pathlib.Path(name) / "some.whl"
            with zipfile.ZipFile(wheel, "w") as file:
                for path in ("torch/lib/libc10.so", "torch/lib/libtorch_cuda.so", "torch/include/c10/a.h"):
                    file.writestr(path, f"right: {path}")
            for path, text in stale.items():
                (target / path).parent.mkdir(parents=True, exist_ok=True)
                (target / path).write_text(text)
            with unittest.mock.patch.object(libtorch, "TARGET", target):
                libtorch.unpack(wheel, MEMBERS)
            files = [path for path in target.rglob("*") if path.is_file()]
            return {str(path.relative_to(target)): path.read_text() for path in files}

    def test_members_alone_are_unpacked_into_their_places(self):
        right = {"lib/libc10.so": "right: torch/lib/libc10.so", "include/c10/a.h": "right: torch/include/c10/a.h"}
        self.assertEqual(self.unpacked({}), right)

    def test_a_file_of_the_right_size_that_is_damaged_is_replaced(self):
        right = self.unpacked({})
        damaged = {path: text.replace("right", "wrong") for path, text in right.items()}
        self.assertEqual(self.unpacked(damaged), right)


if __name__ == "__main__":
    unittest.main()
