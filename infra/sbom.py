"""The list of the crates in the functions, in the format CycloneDX 1.6.

`cargo tree` names what the compiler links into the binaries: no crate that only a build script, a macro or a test uses, and of
a crate's features only those that the functions enable.
"""

import hashlib
import json
import re
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
TARGETS = {"arm64": "aarch64-unknown-linux-gnu", "x86_64": "x86_64-unknown-linux-gnu"}
# `(*)` ends the line of a crate whose dependencies were listed before.
TREE_LINE = re.compile(r"(?P<depth>\d+)(?P<name>[\w-]+) v(?P<version>\S+)[^\t]*\t(?P<license>.*?)(?: \(\*\))?$")
LOCKED = re.compile(r'name = "(?P<name>.*)"\nversion = "(?P<version>.*)"\nsource = "registry.*"\nchecksum = "(?P<sum>.*)"')


def write(path, zips, architecture):
    """Writes the list for these zips, by the package of each."""
    text = json.dumps(document(zips, architecture), indent=1)
    refuse_invalid(text)
    path.write_text(text + "\n", encoding="utf-8")


def document(zips, architecture):
    crates, edges = parse_tree(cargo_tree(zips, architecture))
    lock = (ROOT / "Cargo.lock").read_text(encoding="utf-8")
    locked = {(crate["name"], crate["version"]): crate["sum"] for crate in LOCKED.finditer(lock)}
    version = next(version for name, version in crates if name in zips)
    components = [component(crate, license, locked.get(crate), zips) for crate, license in sorted(crates.items())]
    hearth = {"type": "application", "bom-ref": "hearth", "name": "hearth", "version": version}
    functions = [reference(crate) for crate in sorted(crates) if crate[0] in zips]
    return {
        "bomFormat": "CycloneDX",
        "specVersion": "1.6",
        "version": 1,
        "metadata": {**commit_time(), "component": hearth},
        "components": components,
        "dependencies": [{"ref": "hearth", "dependsOn": functions}]
        + [{"ref": reference(crate), "dependsOn": sorted(map(reference, edges[crate]))} for crate in sorted(crates)],
    }


def cargo_tree(packages, architecture):
    command = ["cargo", "tree", "--locked", "--edges", "normal,no-proc-macro", "--target", TARGETS[architecture]]
    command += ["--prefix", "depth", "--format", "{p}\t{l}"]
    command += [argument for package in packages for argument in ("--package", package)]
    tree = subprocess.run(command, cwd=ROOT, check=False, stdout=subprocess.PIPE, encoding="utf-8")
    if tree.returncode != 0:
        sys.exit("`cargo tree` failed")
    return tree.stdout


def parse_tree(text):
    """The licence of each crate, and its dependencies, from the lines of `cargo tree`: depth, name, version and licence."""
    crates, edges, path = {}, {}, []
    for line in filter(None, text.splitlines()):
        found = TREE_LINE.match(line)
        if found is None:
            sys.exit(f"cannot read this line of `cargo tree`: {line}")
        crate = (found["name"], found["version"])
        crates[crate] = found["license"]
        edges.setdefault(crate, set())
        path[int(found["depth"]):] = [crate]
        if len(path) > 1:
            edges[path[-2]].add(crate)
    return crates, edges


def component(crate, license, checksum, zips):
    name, version = crate
    described = {"type": "library", "bom-ref": reference(crate), "name": name, "version": version}
    if name in zips:
        described["type"] = "application"
        checksum = hashlib.sha256(zips[name].read_bytes()).hexdigest()
    if checksum:
        described["hashes"] = [{"alg": "SHA-256", "content": checksum}]
    if license:
        # An old form of cargo's, which is no SPDX expression.
        described["licenses"] = [{"expression": re.sub(" */ *", " OR ", license)}]
    if not name.startswith("hearth-"):
        described["purl"] = reference(crate)
    return described


def reference(crate):
    return f"pkg:cargo/{crate[0]}@{crate[1]}"


def commit_time():
    """The time of the commit, so that the same sources have the same list. None without git."""
    command = ["git", "log", "-1", "--date=format-local:%Y-%m-%dT%H:%M:%SZ", "--format=%cd"]
    try:
        git = subprocess.run(command, cwd=ROOT, env={"TZ": "UTC"}, capture_output=True, encoding="utf-8", check=True)
    except (OSError, subprocess.CalledProcessError):
        return {}
    return {"timestamp": git.stdout.strip()}


def refuse_invalid(text):
    from cyclonedx.schema import SchemaVersion
    from cyclonedx.validation.json import JsonStrictValidator

    error = JsonStrictValidator(SchemaVersion.V1_6).validate_str(text)
    if error is not None:
        sys.exit(f"the list of crates is no CycloneDX: {error}")
