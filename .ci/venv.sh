#!/bin/sh
# Makes .venv in the current folder with a Python >= 3.11 and installs the project into it, each
# only when it is not done yet: .venv/.EXTRA is the stamp, and is out of date when pyproject.toml
# has changed since.
#
# usage: .ci/venv.sh PYTHON EXTRA
#   PYTHON  a command or path; empty: the first fitting one on PATH
#   EXTRA   which of pyproject.toml's optional dependencies to install too
set -eu

given=$1
extra=$2
minimum='3, 11'

# Which Python is it, in one line; empty when it does not run or is too old.
identify() {
    "$1" -c "
import sys
if sys.version_info >= ($minimum):
    print(sys.base_prefix, '.'.join(map(str, sys.version_info[:3])))
" 2>/dev/null || true
}

fail() {
    echo "make: $1" >&2
    exit 1
}

if [ -n "$given" ]; then
    case $given in "~/"*) given=$HOME/${given#"~/"} ;; esac
    command -v "$given" >/dev/null 2>&1 || fail "PYTHON=$given is not there"
    found=$(identify "$given")
    if [ -z "$found" ]; then
        version=$("$given" --version 2>&1 | head -n 1) || version='which does not run'
        fail "PYTHON=$given is $version: inapp-monitor needs Python 3.11 or newer"
    fi
    # Another Python than .venv was made with: make it anew.
    if [ -x .venv/bin/python ] && [ "$(identify .venv/bin/python)" != "$found" ]; then
        rm -rf .venv
    fi
    python=$given
fi

if [ ! -x .venv/bin/python ] || [ -z "$(identify .venv/bin/python)" ]; then
    if [ -z "$given" ]; then
        python=
        for candidate in python3 python3.14 python3.13 python3.12 python3.11 python; do
            if [ -n "$(identify "$candidate")" ]; then
                python=$candidate
                break
            fi
        done
        [ -n "$python" ] || fail "no Python 3.11 or newer found (make PYTHON=/path/to/python3.11 ...)"
    fi
    "$python" -c 'import ensurepip, venv' 2>/dev/null ||
        fail "$python has no venv module (on Debian: apt install python3-venv)"
    echo "Making .venv with $("$python" --version) ..."
    "$python" -m venv --clear .venv || fail "could not make .venv"
fi

stamp=.venv/.$extra
if [ ! -e "$stamp" ] || [ pyproject.toml -nt "$stamp" ]; then
    echo "Installing inapp-monitor[$extra] into .venv ..."
    .venv/bin/python -m pip install --quiet --disable-pip-version-check --no-input \
        --editable ".[$extra]" || fail "could not install, see above"
    touch "$stamp"
fi
