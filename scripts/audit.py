"""Ask whether the locked packages have known weaknesses: exit 1 where one has, 0 otherwise.

pip-audit does the asking, from an environment of its own. Where no service answers within a minute,
that is told and nothing fails: a network that is away must not. A service is believed only if it
knows an old, famous weakness; a mirror without such knowledge would call everything sound.
"""

from __future__ import annotations

import json
import re
import subprocess
import sys
import time
import venv
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
LOCKED = [ROOT / "requirements/demo.txt", ROOT / "requirements/torch-cpu.txt"]
FAMOUS = "jinja2==2.10"  # CVE-2019-10906
SERVICES = ("pypi", "osv", "esms")
ASKING_S = 60.0
INSTALLING_S = 120.0  # once


def locked_pins() -> list[str]:
    """Return `name==version` of what is locked; advisories know no builds such as `+cpu`."""
    texts = "\n".join(path.read_text(encoding="utf-8") for path in LOCKED)
    return re.findall(r"^([a-z0-9._-]+==[^\s+]+)", texts, re.MULTILINE)


def weaknesses(report: dict) -> list[str]:
    """Return one line per weakness in a report of pip-audit."""
    return [
        f"{package['name']} {package['version']}: {found['id']}"
        f" (mended in {', '.join(found['fix_versions']) or 'no release yet'})"
        for package in report["dependencies"]
        for found in package.get("vulns", ())
    ]


def unknown(report: dict) -> list[str]:
    """Return the names that the service could say nothing of."""
    return [package["name"] for package in report["dependencies"] if "skip_reason" in package]


def ask(auditor: Path, service: str, pins: list[str], limit_s: float) -> dict | None:
    """Ask one service of some packages; None where it gives no answer in time."""
    asked = auditor.parent.parent / "asked.txt"
    asked.write_text("\n".join(pins) + "\n", encoding="utf-8")
    command = [str(auditor), "--requirement", str(asked), "--vulnerability-service", service]
    command += ["--no-deps", "--disable-pip", "--format", "json"]
    command += ["--progress-spinner", "off", "--timeout", "10"]
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=limit_s, check=False)
        return json.loads(done.stdout)
    except (subprocess.TimeoutExpired, json.JSONDecodeError):
        return None


def install(folder: Path) -> Path | None:
    """Return pip-audit in an environment of its own, made once; None without a network."""
    auditor = folder / "bin/pip-audit"
    if auditor.exists():
        return auditor
    venv.create(folder, with_pip=True, clear=True)
    command = [str(folder / "bin/python"), "-m", "pip", "install", "-qq", "--retries", "1"]
    try:
        subprocess.run([*command, "pip-audit>=2.7"], timeout=INSTALLING_S, check=True)
    except (subprocess.TimeoutExpired, subprocess.CalledProcessError):
        return None
    return auditor


def audit(folder: Path) -> int:
    """Ask the first service that is worth asking, and print what it says."""
    auditor = install(folder)
    end = time.monotonic() + ASKING_S
    for service in SERVICES if auditor else ():
        trial = ask(auditor, service, [FAMOUS], end - time.monotonic())
        if trial is None or not weaknesses(trial):
            continue
        report = ask(auditor, service, locked_pins(), end - time.monotonic())
        if report is None:
            continue
        found = weaknesses(report)
        asked = len(report["dependencies"]) - len(unknown(report))
        print(f"{asked} locked packages asked of {service}: {len(found)} known weaknesses.")
        print("\n".join(found), end="\n" if found else "")
        if unknown(report):
            print("Unknown to it:", ", ".join(unknown(report)))
        return 1 if found else 0
    print("Known weaknesses could not be asked: no service of advisories answered in time.")
    return 0


if __name__ == "__main__":
    sys.exit(audit(ROOT / ".venv/audit"))
