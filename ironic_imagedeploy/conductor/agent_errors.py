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

"""Errors of Ironic's client of the agent, without the agent's token.

The client sends the token in the query of each request, and the errors of a
connection name the whole address: it would end in last_error.
"""

import typing
import urllib.parse

import requests
from requests import adapters

from ironic.drivers.modules import agent_client


def redact(client: agent_client.AgentClient) -> None:
    """Keep queries out of the errors of a client."""
    session = client.session
    for prefix, adapter in list(session.adapters.items()):
        if not isinstance(adapter, _RedactingAdapter):
            session.mount(prefix, _RedactingAdapter(adapter))


class _RedactingAdapter(adapters.BaseAdapter):
    """Adapter whose errors do not have the query of the request."""

    def __init__(self, adapter: adapters.BaseAdapter) -> None:
        super().__init__()
        self._adapter = adapter

    def send(self, request: requests.PreparedRequest,
             *args: typing.Any, **options: typing.Any) -> requests.Response:
        try:
            return self._adapter.send(request, *args, **options)
        except requests.RequestException as error:
            query = urllib.parse.urlsplit(request.url or '').query
            text = str(error).replace(f'?{query}', '') if query else str(error)
            # Not 'from error', which has the query in it.
            raise type(error)(text) from None

    def close(self) -> None:
        self._adapter.close()
