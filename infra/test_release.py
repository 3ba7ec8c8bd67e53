"""Tests of infra/release.py and infra/sbom.py: python -m unittest discover infra"""

import tempfile
import unittest
import zipfile
from pathlib import Path

import release
import sbom

ARM = b"\x7fELF" + bytes(14) + b"\xb7\x00" + bytes(44)


class Release(unittest.TestCase):
    def test_architecture_is_one_line(self):
        self.assertEqual(release.architecture_of("a: b\n    Architectures: [arm64]\nc: d\n"), "arm64")
        for text in ["", "    Architectures: [!Ref Architecture]\n", "Architectures: [arm64]\nArchitectures: [x86_64]\n"]:
            with self.assertRaises(SystemExit):
                release.architecture_of(text)

    def test_machine_is_read_from_the_header(self):
        self.assertEqual(release.machine(ARM), "arm64")
        self.assertEqual(release.machine(ARM.replace(b"\xb7", b"\x3e")), "x86_64")
        for other in [b"", b"#!/bin/sh\n", ARM.replace(b"\xb7", b"\xf3")]:
            self.assertIsNone(release.machine(other))

    def test_zip_has_an_executable_and_the_same_bytes_each_time(self):
        with tempfile.TemporaryDirectory() as folder:
            paths = [Path(folder, name) for name in ("a.zip", "b.zip")]
            for path in paths:
                release.write_zip(path, ARM)
            self.assertEqual(paths[0].read_bytes(), paths[1].read_bytes())
            with zipfile.ZipFile(paths[0]) as file:
                (entry,) = file.infolist()
                self.assertEqual((entry.filename, entry.external_attr >> 16), ("bootstrap", 0o100755))
                self.assertEqual(file.read(entry), ARM)

    def test_function_for_another_processor_is_refused(self):
        resource = {"Type": release.FUNCTION, "Metadata": {"BuildMethod": "makefile"}, "Properties": {}}
        with tempfile.TemporaryDirectory() as folder:
            folder = Path(folder)
            (folder / "OpsFunction").mkdir()
            (folder / "OpsFunction/bootstrap").write_bytes(ARM)
            template = {"Resources": {"OpsFunction": resource, "Table": {"Type": "AWS::DynamoDB::Table"}}}
            with self.assertRaises(SystemExit):
                release.pack(folder, folder, template, "x86_64")
            self.assertEqual(release.pack(folder, folder, template, "arm64"), {"hearth-fn-ops": "ops-arm64.zip"})
            self.assertEqual(resource, {"Type": release.FUNCTION, "Properties": {"CodeUri": "./ops-arm64.zip"}})

    def test_settings_of_a_checkout_are_left_out(self):
        text = '# sam build\nversion = 0.1\n\n[default.build.parameters]\nx = 1\n\n[dev.deploy.parameters]\ny = "2"\n'
        self.assertEqual(release.deploy_settings(text), 'version = 0.1\n\n[dev.deploy.parameters]\ny = "2"\n')


class Sbom(unittest.TestCase):
    def test_tree_has_each_crate_once_with_its_dependencies(self):
        crates, edges = sbom.parse_tree(
            "0hearth-fn-ops v0.1.0 (/a/functions/ops)\tApache-2.0\n"
            "1ring v0.17.1\tApache-2.0 AND ISC\n"
            "2cfg-if v1.0.0\t(MIT OR Apache-2.0) AND Unicode-3.0\n"
            "1cfg-if v1.0.0\t(MIT OR Apache-2.0) AND Unicode-3.0\n"
            "\n"
            "0hearth-fn-models v0.1.0 (/a/functions/models)\t\n"
            "1ring v0.17.1\tApache-2.0 AND ISC (*)\n"
        )
        ops, models = ("hearth-fn-ops", "0.1.0"), ("hearth-fn-models", "0.1.0")
        ring, cfg_if = ("ring", "0.17.1"), ("cfg-if", "1.0.0")
        self.assertEqual(crates[ring], "Apache-2.0 AND ISC")
        self.assertEqual(crates[cfg_if], "(MIT OR Apache-2.0) AND Unicode-3.0")
        self.assertEqual(edges, {ops: {ring, cfg_if}, ring: {cfg_if}, cfg_if: set(), models: {ring}})

    def test_other_line_of_the_tree_is_refused(self):
        with self.assertRaises(SystemExit):
            sbom.parse_tree("├── ring v0.17.1\n")


if __name__ == "__main__":
    unittest.main()
