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

"""HTML in which all text is escaped, whoever it comes from."""

import html
import importlib.resources
import typing

from ironic_imagedeploy.cmd import text

#: Characters of one text; names from outside can have any length.
_MOST = 400
#: Nothing is loaded, and nothing is executed.
_POLICY = "default-src 'none'; style-src 'unsafe-inline'"
_VOID = ('meta', 'br')


class Markup(str):
    """HTML. All other strings are text."""

    __slots__ = ()


def element(name: str, /, *children: typing.Any, **attributes: typing.Any
            ) -> Markup:
    """An element; whatever in it is not markup is escaped.

    :param children: markup, or values that are shown as text; None for
        nothing.
    :param attributes: a trailing underscore is taken off, others become
        hyphens; None for none.
    """
    words = ''.join(
        f' {key.rstrip("_").replace("_", "-")}="{join(value)}"'
        for key, value in attributes.items() if value is not None)
    if name in _VOID:
        return Markup(f'<{name}{words}>')
    return Markup(f'<{name}{words}>{join(*children)}</{name}>')


def join(*children: typing.Any) -> Markup:
    """Markup and text, one after the other."""
    return Markup(''.join(
        child if isinstance(child, Markup) else escape(child)
        for child in children if child is not None))


def escape(value: typing.Any) -> str:
    """A value as text of HTML, printable and bounded."""
    words = text.printable(str(value)[:_MOST + 1])
    if len(words) > _MOST:
        words = words[:_MOST] + '…'
    return html.escape(words)


def page(title: str, *body: Markup) -> str:
    """A page by itself: no scripts, no fonts, nothing from elsewhere."""
    style = importlib.resources.files('ironic_imagedeploy.cmd').joinpath(
        'report.css').read_text(encoding='utf-8')
    head = element(
        'head',
        element('meta', charset='utf-8'),
        element('meta', http_equiv='Content-Security-Policy',
                content=_POLICY),
        element('meta', name='viewport',
                content='width=device-width, initial-scale=1'),
        element('meta', name='color-scheme', content='light dark'),
        element('title', title),
        element('style', Markup(style)))
    return '<!DOCTYPE html>\n' + element(
        'html', head, element('body', element('main', *body)),
        lang='en') + '\n'
