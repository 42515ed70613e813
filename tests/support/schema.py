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

"""The documented JSON, which all that the tests let print is held against."""

from collections.abc import Sequence
import functools
import json
import pathlib
import typing

import jsonschema

FILE = (pathlib.Path(__file__).parents[2]
        / 'doc/source/reference/output.schema.json')
#: Definition in the schema by command.
_FORMS = {'check': 'check', 'map': 'map', 'write': 'report',
          'verify': 'report', 'manifest': 'manifest', 'watch': 'watch',
          'upload': 'upload', 'convert': 'convert', 'mend': 'mend',
          'build': 'build'}


def check(arguments: Sequence[typing.Any], printed: str) -> None:
    """Hold what a command printed against the schema, if it was JSON.

    Keys that are not documented are wrong as well.

    :param arguments: the command and its arguments.
    :raises jsonschema.ValidationError: when it is something else.
    """
    if '--json' in arguments and printed:
        value = json.loads(printed)
        form = ('error' if 'error' in value
                else 'check' if '--dry-run' in arguments
                else 'repair' if 'repaired' in value
                else _FORMS[arguments[0]])
        validator(form).validate(value)


@functools.cache
def validator(form: str) -> jsonschema.Draft202012Validator:
    """What checks one definition of the schema, without other keys."""
    schema = json.loads(FILE.read_text())
    jsonschema.Draft202012Validator.check_schema(schema)
    return jsonschema.Draft202012Validator(_closed(
        {'$defs': schema['$defs'], '$ref': f'#/$defs/{form}'}))


def _closed(schema: typing.Any) -> typing.Any:
    if isinstance(schema, list):
        return [_closed(each) for each in schema]
    if not isinstance(schema, dict):
        return schema
    closed = {name: _closed(value) for name, value in schema.items()}
    kinds = schema.get('type', ())
    if 'object' in kinds and 'properties' in schema:
        closed['additionalProperties'] = False
    return closed
