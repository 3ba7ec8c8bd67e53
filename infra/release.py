"""Makes a folder from which `sam deploy` works without Rust: `sam build`, and then

- a zip per function; the same binaries give the same bytes;
- template.yaml, whose CodeUri are the zips, and samconfig.toml for it;
- sbom.cdx.json: the crates in the functions, in the format CycloneDX (infra/sbom.py);
- README.md with the commands, and SHA256SUMS of all files.

Usage: python infra/release.py FOLDER [arm64|x86_64]. The processor is that of infra/template.yaml if none is named.
Needs infra/requirements.txt and make, and infra/requirements-build.txt to build; uses no account.
"""

import hashlib
import os
import re
import shutil
import subprocess
import sys
import tempfile
import zipfile
from pathlib import Path

import tomlkit
from samcli.yamlhelper import yaml_dump, yaml_parse

import sbom

INFRA = Path(__file__).resolve().parent
ROOT = INFRA.parent
FUNCTION = "AWS::Serverless::Function"
ARCHITECTURES = re.compile(r"^( *Architectures: )\[(\w+)\]$", re.MULTILINE)
CODE_URI = re.compile(r"^( *CodeUri: )\.$", re.MULTILINE)
# The field e_machine of an ELF file.
MACHINES = {0x3E: "x86_64", 0xB7: "arm64"}
README = """\
    sha256sum -c SHA256SUMS
    sam deploy --config-env dev --region us-east-1    # or staging, prod
    hearth token create first --table <TableName>     # the table is an output of the deployment
"""


def architecture_of(template):
    """The processor that a template's text says."""
    found = ARCHITECTURES.findall(template)
    if len(found) != 1:
        sys.exit("the template must have one line `Architectures: [arm64]` or `[x86_64]`")
    return found[0][1]


def machine(binary):
    """The processor of an ELF file's code, or None."""
    head = binary[:20]
    return MACHINES.get(int.from_bytes(head[18:20], "little")) if head[:4] == b"\x7fELF" else None


def build(text, folder):
    """Runs `sam build` on a template with this text. Returns the built template, with the functions' folders as CodeUri."""
    source = folder / "template.yaml"
    # The Makefile builds beside itself.
    source.write_text(CODE_URI.sub(lambda line: f"{line[1]}{INFRA}", text), encoding="utf-8")
    built = folder / "build"
    command = ["sam", "build", "--template-file", str(source), "--build-in-source", "--build-dir", str(built)]
    # In a folder of its own, so that .aws-sam of the checkout stays as it is.
    if subprocess.run(command, cwd=folder, env={**os.environ, "TEMPLATE": str(source)}, check=False).returncode != 0:
        sys.exit("`sam build` failed")
    return built, yaml_parse((built / "template.yaml").read_text(encoding="utf-8"))


def write_zip(path, binary):
    """A function's zip. Time and mode are fixed, so that the bytes depend on the binary alone."""
    entry = zipfile.ZipInfo("bootstrap", date_time=(1980, 1, 1, 0, 0, 0))
    entry.create_system = 3  # Unix, whose modes external_attr has
    entry.external_attr = 0o100755 << 16
    entry.compress_type = zipfile.ZIP_DEFLATED
    with zipfile.ZipFile(path, "w") as file:
        file.writestr(entry, binary, compresslevel=int(os.environ.get("ZIP_LEVEL", "9")))


def pack(out, built, template, architecture):
    """Writes the zips and points the template at them. Returns the zips' names by the functions' packages."""
    zips = {}
    for logical_id, resource in template["Resources"].items():
        if resource["Type"] != FUNCTION or resource.get("Metadata", {}).get("BuildMethod") != "makefile":
            continue
        name = logical_id.removesuffix("Function").lower()
        binary = (built / logical_id / "bootstrap").read_bytes()
        if machine(binary) != architecture:
            sys.exit(f"{logical_id} is not built for {architecture}: Lambda could not start it")
        zips[f"hearth-fn-{name}"] = f"{name}-{architecture}.zip"
        write_zip(out / f"{name}-{architecture}.zip", binary)
        # `sam build` has nothing to build here.
        del resource["Metadata"]
        resource["Properties"]["CodeUri"] = f"./{name}-{architecture}.zip"
    return zips


def deploy_settings(text):
    """The settings of `sam deploy` in samconfig.toml. The others are about a checkout."""
    settings = tomlkit.document()
    for name, value in tomlkit.parse(text).items():
        if not isinstance(value, dict):
            settings[name] = value
        elif "deploy" in value:
            settings[name] = {"deploy": value["deploy"]}
    return tomlkit.dumps(settings)


def checksums(out):
    for path in sorted(out.iterdir()):
        yield f"{hashlib.sha256(path.read_bytes()).hexdigest()}  {path.name}\n"


def main():
    out = Path(sys.argv[1]).resolve()
    text = (INFRA / "template.yaml").read_text(encoding="utf-8")
    architecture = sys.argv[2] if len(sys.argv) > 2 else architecture_of(text)
    text = ARCHITECTURES.sub(lambda line: f"{line[1]}[{architecture}]", text)

    shutil.rmtree(out, ignore_errors=True)
    out.mkdir(parents=True)
    with tempfile.TemporaryDirectory() as folder:
        built, template = build(text, Path(folder))
        zips = pack(out, built, template, architecture)
    (out / "template.yaml").write_text(yaml_dump(template), encoding="utf-8")
    settings = (ROOT / "samconfig.toml").read_text(encoding="utf-8")
    (out / "samconfig.toml").write_text(deploy_settings(settings), encoding="utf-8")
    (out / "README.md").write_text(README, encoding="utf-8")
    sbom.write(out / "sbom.cdx.json", {package: out / name for package, name in zips.items()}, architecture)
    (out / "SHA256SUMS").write_text("".join(checksums(out)), encoding="utf-8")


if __name__ == "__main__":
    main()
