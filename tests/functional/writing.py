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

"""A write as the agent does it, as a process that can be killed.

``python -m tests.functional.writing URL MANIFEST DEVICE JOURNALS`` prints the
report as JSON.
"""

import json
import pathlib
import sys

from ironic_imagedeploy import engine
from ironic_imagedeploy.engine import manifest


def main() -> None:
    url, path, device, journals = sys.argv[1:]
    known = manifest.Manifest.decode(pathlib.Path(path).read_bytes())
    with (engine.open_source(url) as origin,
          engine.open_target(device) as target):
        inspection = engine.inspect(
            engine.ChunkedSource(known, origin),
            engine.Expectation(checksum=known.checksum))
        inspection.raise_if_refused()
        report = engine.transfer(inspection, target, journals=journals)
    print(json.dumps(report.to_dict()))


if __name__ == '__main__':
    main()
