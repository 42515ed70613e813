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

"""Commands as an agent shows them: what Ironic takes for granted of them.

It looks into their fields without a question, so that an answer of another
shape ends in an error that says nothing, or in none.
"""

import typing

import requests

#: Levels of an answer. That about a machine has some ten; code that follows
#: them one by one fails at a thousand.
_DEEPEST = 64
#: Steps that a result tells of.
_STEPS = ('clean_step', 'deploy_step', 'service_step')
#: What each command has, as an error tells it.
COMMAND = 'a command with a name and a status'
COMMANDS = 'commands, each with a name and a status'


def is_one(answer: requests.Response) -> bool:
    """Whether an answer to an order is a command, or the refusal of one."""
    told = _json(answer)
    if answer.ok:
        return _is_command(told)
    return isinstance(told, dict) and isinstance(told.get('faultstring'), str)


def are_listed(answer: requests.Response) -> bool:
    """Whether an answer lists commands."""
    told = _json(answer)
    if not isinstance(told, dict):
        return False
    commands = told.get('commands')
    return isinstance(commands, list) and all(map(_is_command, commands))


def _json(answer: requests.Response) -> typing.Any:
    """JSON that it tells; None when that is another thing, or too deep."""
    try:
        told = answer.json()
    except (ValueError, RecursionError):
        return None
    level = [told]
    for _ in range(_DEEPEST):
        level = [inner for outer in level for inner in _parts(outer)]
        if not level:
            return told
    return None


def _parts(told: typing.Any) -> typing.Iterable[typing.Any]:
    if isinstance(told, dict):
        return told.values()
    return told if isinstance(told, list) else ()


def _is_command(told: typing.Any) -> bool:
    if not isinstance(told, dict):
        return False
    result = told.get('command_result')
    return (isinstance(told.get('command_name'), str)
            and isinstance(told.get('command_status'), str)
            and _is_mapping_or_none(told.get('command_error'))
            and (not result or isinstance(result, str)
                 or isinstance(result, dict) and all(
                     _is_mapping_or_none(result.get(name))
                     for name in _STEPS)))


def _is_mapping_or_none(told: typing.Any) -> bool:
    return not told or isinstance(told, dict)
