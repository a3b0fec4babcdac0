#!/bin/sh
# Makes an environment of its own for graphite-web 1.1.10, the peer that answers are compared with.
#
#   venv.sh DIRECTORY [PYTHON]
#
# Its code is unpacked from the source archive and used from there: its installer wants /opt/graphite.
set -eu
directory=$1
python=${2:-python3.11}
if [ -f "$directory/ready" ]; then exit 0; fi
"$python" -m venv "$directory"
"$directory/bin/python" -m pip install --quiet --disable-pip-version-check \
    'Django==3.0.14' 'whisper==1.1.10' 'django-tagging==0.4.6' 'pyparsing' 'pytz' 'cairocffi' \
    'six' 'urllib3' 'setuptools<80'
"$directory/bin/python" -m pip download --quiet --disable-pip-version-check --no-deps \
    --no-binary :all: --dest "$directory" 'graphite-web==1.1.10'
tar -xzf "$directory/graphite-web-1.1.10.tar.gz" -C "$directory"
touch "$directory/ready"
