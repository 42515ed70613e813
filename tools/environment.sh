# Licensed under the Apache License, Version 2.0 (the "License"); you may
# not use this file except in compliance with the License. You may obtain
# a copy of the License at
#
#      http://www.apache.org/licenses/LICENSE-2.0
#
# Unless required by applicable law or agreed to in writing, software
# distributed under the License is distributed on an "AS IS" BASIS, WITHOUT
# WARRANTIES OR CONDITIONS OF ANY KIND, either express or implied. See the
# License for the specific language governing permissions and limitations
# under the License.

# Sourced by the commands in this directory, under bash:
#   install_packages PROFILE...  Debian packages of those bindep.txt profiles
#   python_environment           a virtual environment with the checkout in
#                                it; sets VENV and PATH
#   for_root NAME WHY PROFILE... both of these for a script of that name, and
#                                what Python needs to run from the checkout;
#                                exits when root is missing, which it needs
#   extra_packages NAME FILE  packages for one command alone
#   scratch_folder               a folder, in TMPDIR, that goes with the script
#   previous_environment         the same for the tests with the previous
#                                series of Ironic; sets PREVIOUS only

CHECKOUT=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
CACHE=${XDG_CACHE_HOME:-$HOME/.cache}/ironic-imagedeploy

# Runs apt-get without questions; a mirror in the middle of an update, or
# another apt-get, is worth two more tries.
apt_get() {
    local try
    for try in 1 2 3; do
        DEBIAN_FRONTEND=noninteractive apt-get -q \
            -o DPkg::Lock::Timeout=120 "$@" </dev/null >&2 && return
        echo "apt-get $1 failed (try $try)" >&2
        sleep $((try * 5))
    done
    return 1
}

install_debian() {
    apt_get update || return
    apt_get install -y --no-install-recommends "$@"
}

have_venv() {
    python3 -c 'import ensurepip' 2>/dev/null || install_debian python3-venv
}

# Sets BINDEP; it is in an environment of its own, since the packages come
# before what is built with them.
bindep_command() {
    BINDEP=$CACHE/bindep/bin/bindep
    [ -x "$BINDEP" ] && return
    have_venv || return
    mkdir -p "$CACHE"
    (
        flock 9
        [ -x "$BINDEP" ] || {
            python3 -m venv "$CACHE/bindep" &&
            "$CACHE/bindep/bin/pip" install -q 'bindep>=2.11.0'
        }
    ) 9>"$CACHE/bindep.lock"
}

install_packages() {
    local missing
    bindep_command || return
    missing=$("$BINDEP" --brief --file "$CHECKOUT/bindep.txt" "$@") && return
    # It says more than names when it cannot read the file.
    [[ $missing =~ ^[a-z0-9+.:[:space:]-]+$ ]] || {
        echo "$missing" >&2
        return 1
    }
    mapfile -t missing <<<"$missing"
    install_debian "${missing[@]}"
}

# Environments are shared by the tests and the lab, and by checkouts with the
# same requirements. The name of one is a hash of what went into it; the stamp
# says that it is complete.
#   environment NAME FILE...  with those requirements; sets ENVIRONMENT
environment() {
    local key name=$1 requirements=("${@:2}")
    have_venv || return
    key=$(cd "$CHECKOUT" && {
        python3 -c 'import sys; print(sys.version, sys.prefix)'
        cat "${requirements[@]}"
        python3 -c '
import configparser
setup = configparser.ConfigParser()
setup.read("setup.cfg")
print(setup["extras"].get("fast"))'
    } | sha256sum | cut -c 1-16)
    ENVIRONMENT=$CACHE/$name-$key
    mkdir -p "$CACHE"
    (
        flock 9
        if ! [ -e "$ENVIRONMENT/.complete" ]; then
            rm -rf "$ENVIRONMENT"
            echo "Python environment in $ENVIRONMENT" >&2
            python3 -m venv "$ENVIRONMENT" &&
            "$ENVIRONMENT/bin/pip" install -q --upgrade \
                pip setuptools pbr wheel &&
            (cd "$CHECKOUT" &&
                PYTHONWARNINGS=ignore "$ENVIRONMENT/bin/pip" install -q \
                --no-build-isolation "${requirements[@]/#/-r}" \
                -e ".[fast]") &&
            touch "$ENVIRONMENT/.complete" || exit
        fi
        # An editable installation points to one checkout: this one, from now.
        PYTHONWARNINGS=ignore "$ENVIRONMENT/bin/pip" install -q --no-deps \
            --no-build-isolation -e "$CHECKOUT"
    ) 9>"$ENVIRONMENT.lock"
}

python_environment() {
    environment venv requirements.txt test-requirements.txt \
        tests/lab/requirements.txt || return
    VENV=$ENVIRONMENT
    PATH=$VENV/bin:$PATH
    export VENV PATH
}

previous_environment() {
    environment previous requirements.txt tests/previous/requirements.txt \
        || return
    PREVIOUS=$ENVIRONMENT
}

# Packages that one command needs beside those of the tests, in a folder of
# their own: nothing of the tests is another version for them.
#   extra_packages NAME FILE  of that file of requirements; sets PYTHONPATH,
#                             and PATH for their programs
extra_packages() {
    local key
    key=$(cat "$2" "$VENV/pyvenv.cfg" | sha256sum | cut -c 1-16)
    local folder=$CACHE/$1-$key
    (
        flock 9
        if ! [ -e "$folder/.complete" ]; then
            rm -rf "$folder"
            echo "Python packages in $folder" >&2
            "$VENV/bin/pip" install -q --target "$folder" -r "$2" &&
                touch "$folder/.complete"
        fi
    ) 9>"$folder.lock" || return
    export PYTHONPATH=$CHECKOUT:$folder PATH=$folder/bin:$PATH
}

for_root() {
    if [ "$(id -u)" -ne 0 ]; then
        echo "$1 needs root: $2" >&2
        exit 2
    fi
    PATH=$PATH:/usr/sbin:/sbin
    install_packages "${@:3}"
    python_environment
    export PYTHONPATH=$CHECKOUT PYTHONDONTWRITEBYTECODE=1 PYTHONUNBUFFERED=1
}

scratch_folder() {
    TMPDIR=$(mktemp -d -t ironic-imagedeploy-lifecycle.XXXXXX)
    trap 'rm -rf "$TMPDIR"' EXIT
    trap 'exit 130' INT
    trap 'exit 143' TERM
    export TMPDIR
}
