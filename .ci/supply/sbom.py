"""Prints the service's bill of materials: CycloneDX 1.6 in JSON, checked against its schema.

    sbom.py SITE_PACKAGES…    directories in which what the lock file names is installed

The same lock file gives the same bytes: there is neither a serial number nor a time in it. Components of
an extra are `optional`, and the property `halo-otel:extra` names it. A component's hashes are those of all
files the lock file lets in, one per platform and Python.
"""

import json
import re
import sys

from cyclonedx.contrib.license.factories import LicenseFactory
from cyclonedx.model import HashAlgorithm, HashType, Property
from cyclonedx.model.bom import Bom
from cyclonedx.model.component import Component, ComponentScope, ComponentType
from cyclonedx.output.json import JsonV1Dot6
from cyclonedx.schema import SchemaVersion
from cyclonedx.validation.json import JsonStrictValidator
from packageurl import PackageURL
from tree import PROJECT, ROOT, Part, parts


def component(part: Part) -> Component:
    return Component(
        type=ComponentType.LIBRARY,
        bom_ref=part.name,
        name=part.name,
        version=part.version,
        scope=ComponentScope.OPTIONAL if part.extras else ComponentScope.REQUIRED,
        hashes=[HashType(alg=HashAlgorithm.SHA_256, content=each) for each in part.hashes],
        licenses=[LicenseFactory().make_from_string(part.licence)],
        purl=PackageURL("pypi", None, part.name, part.version),
        properties=[Property(name=f"{PROJECT}:extra", value=extra) for extra in part.extras],
    )


def project() -> Component:
    text = (ROOT / PROJECT.replace("-", "_") / "__init__.py").read_text(encoding="utf-8")
    version = re.search(r'^__version__ = "(.+)"$', text, re.MULTILINE)
    assert version, "hatchling finds the version in the same line"
    return Component(
        type=ComponentType.APPLICATION,
        bom_ref=PROJECT,
        name=PROJECT,
        version=version[1],
        licenses=[LicenseFactory().make_from_string("Apache-2.0")],
        purl=PackageURL("pypi", None, PROJECT, version[1]),
    )


def bill(found: list[Part]) -> str:
    made = {part.name: component(part) for part in found}
    whole = Bom(components=made.values())
    whole.metadata.component = made[PROJECT] = project()
    for name, each in made.items():
        whole.register_dependency(
            each, [made[part.name] for part in found if name in part.wanted_by]
        )
    document = json.loads(JsonV1Dot6(whole).output_as_string())
    del document["serialNumber"], document["metadata"]["timestamp"]
    return json.dumps(document, indent=1, sort_keys=True) + "\n"


if __name__ == "__main__":
    text = bill(parts(sys.argv[1:]))
    if error := JsonStrictValidator(SchemaVersion.V1_6).validate_str(text):
        raise SystemExit(f"what was made is no CycloneDX: {error}")
    sys.stdout.write(text)
