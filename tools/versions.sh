#!/usr/bin/env bash
# `make versions`: does the course run with the oldest and with the newest packages that pyproject.toml allows?
#
#     tools/versions.sh [oldest] [newest]
#
# For each, a fresh environment in runs/versions with the packages that ocrkit itself needs, and tools/smoke.py in it.
# Takes minutes, and disk for one installation of torch at a time; what passed is removed again. PYTHON chooses the
# interpreter; the oldest packages exist for Python 3.10 to 3.12. Exit status 3: the packages cannot be had here.
set -euo pipefail
cd "$(dirname "$0")/.."

needed=10 # GB: torch with its CUDA libraries, packed and unpacked
mkdir -p runs/versions
for end in ${*:-oldest newest}; do
    place=runs/versions/$end
    rm -rf "$place"
    free=$(($(df -Pk runs/versions | awk 'END {print $4}') / 1000000))
    if [ "$free" -lt "$needed" ]; then
        echo "$end: not checked, as $free GB of disk are free and about $needed are needed" >&2
        exit 3
    fi
    "${PYTHON:-python3}" -m venv "$place"
    # The lines of `dependencies = [ ... ]`, and for the oldest `torch>=2.4` as `torch==2.4`.
    sed -n '/^dependencies = \[/,/^]/s/^ *"\(.*\)",$/\1/p' pyproject.toml >"$place/packages.txt"
    if [ "$end" = oldest ]; then
        sed -i.as-given 's/>=/==/' "$place/packages.txt"
    fi
    "$place/bin/python" -m pip install --quiet --disable-pip-version-check --requirement "$place/packages.txt" || exit 3
    OCRKIT_PROFILE=tiny "$place/bin/python" -m tools.smoke
    rm -rf "$place"
    echo "$end: fine"
done
