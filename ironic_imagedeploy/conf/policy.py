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

"""The policy of a service, read from its configuration."""

from oslo_config import cfg

from ironic_imagedeploy.conf import opts
from ironic_imagedeploy.contract import policy


def from_conf(conf: cfg.ConfigOpts) -> policy.Policy:
    """The policy that the options of this service make."""
    opts.register_opts(conf)
    group = conf.imagedeploy
    return policy.Policy(
        permitted_formats=tuple(group.permitted_formats),
        read_back=group.read_back,
        insecure_checksums_permitted=group.insecure_checksums_permitted,
        workers=group.workers, minimum_speed=group.minimum_speed,
        decompression_memory=group.decompression_memory,
        verify=group.verify, start_findings=group.start_findings,
        start_findings_raised=tuple(group.start_findings_raised),
        start_findings_muted=tuple(group.start_findings_muted))
