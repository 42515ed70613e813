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

"""The web server beside the conductor: ranges, ETag, like any real one."""

import os

import flask

application = flask.Flask(__name__, static_folder=None)


@application.get('/<path:name>')
def file(name: str) -> flask.Response:
    """Send a file of the directory that FILE_SERVER_ROOT names."""
    return flask.send_from_directory(os.environ['FILE_SERVER_ROOT'], name,
                                     conditional=True)
