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

"""Keeps when the parts of a deployment began."""

import typing

from ironic import objects

from ironic_imagedeploy.contract import names
from ironic_imagedeploy.contract import timeline

Event = timeline.Event

#: What begins before and after a deploy step.
_BEFORE = {'deploy': Event.POWER, 'check_agent': Event.AGENT,
           names.STEP: Event.WRITE, 'prepare_instance_boot': Event.BOOT}
_AFTER = {'deploy': Event.RAMDISK, 'boot_instance': Event.DONE}


def before_step(node: objects.Node, step: dict[str, typing.Any]) -> None:
    """Keep what begins with a deploy step."""
    _keep(node, _BEFORE.get(step['step']))


def after_step(node: objects.Node, step: dict[str, typing.Any]) -> None:
    """Keep what begins when a deploy step has been given."""
    _keep(node, _AFTER.get(step['step']))


def accepted(node: objects.Node, begun: str) -> None:
    """Keep that the image is accepted, and there.

    :param begun: when the deployment began.
    """
    mark(node, **{Event.BEGUN: begun, Event.ACCEPTED: timeline.now()})


def mark(node: objects.Node, **moments: str) -> None:
    """Keep moments of a deployment with an order of ours."""
    kept = node.driver_internal_info.get(names.KEY)
    if kept:
        node.set_driver_internal_info(
            names.KEY, timeline.marked(kept, **moments))
        node.save()


def _keep(node: objects.Node, event: Event | None) -> None:
    if event:
        mark(node, **{event: timeline.now()})
