#!/usr/bin/env bash
#
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

# DevStack's plugin contract: called with the mode and the phase.

function install_imagedeploy {
    setup_develop "$IRONIC_IMAGEDEPLOY_DIR" fast
}

# The interface itself is enabled by override-defaults.
function configure_imagedeploy {
    local option
    if [[ "$IRONIC_IMAGEDEPLOY_DEFAULT" == "True" ]]; then
        iniset "$IRONIC_CONF_FILE" DEFAULT default_deploy_interface imagedeploy
    fi
    for option in $IRONIC_IMAGEDEPLOY_OPTIONS; do
        iniset "$IRONIC_CONF_FILE" imagedeploy "${option%%=*}" "${option#*=}"
    done
}

# Ironic's plugin builds the ramdisk in a later phase, with the elements of
# ironic-python-agent-builder alone on its path: ours becomes one of them.
function add_imagedeploy_to_ramdisk {
    setup_ipa_builder
    ln -sfn "$IRONIC_IMAGEDEPLOY_DIR/dib/imagedeploy" \
        "$IRONIC_PYTHON_AGENT_BUILDER_DIR/dib/imagedeploy"
    export DIB_IMAGEDEPLOY_SOURCE=$IRONIC_IMAGEDEPLOY_DIR
    if [[ " $IRONIC_DIB_RAMDISK_OPTIONS " != *" imagedeploy "* ]]; then
        IRONIC_DIB_RAMDISK_OPTIONS+=" imagedeploy"
    fi
}

function cleanup_imagedeploy {
    rm -f "$IRONIC_PYTHON_AGENT_BUILDER_DIR/dib/imagedeploy"
}

if is_service_enabled ironic-imagedeploy; then
    if [[ "$1" == "stack" && "$2" == "install" ]]; then
        echo_summary "Installing ironic-imagedeploy"
        install_imagedeploy
    elif [[ "$1" == "stack" && "$2" == "post-config" ]]; then
        echo_summary "Configuring ironic-imagedeploy"
        configure_imagedeploy
        if [[ "$IRONIC_IMAGEDEPLOY_RAMDISK" == "True" && \
            "$IRONIC_BUILD_DEPLOY_RAMDISK" == "True" ]]; then
            add_imagedeploy_to_ramdisk
        fi
    elif [[ "$1" == "clean" ]]; then
        cleanup_imagedeploy
    fi
fi
