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

"""Times and bytes of a deployment, drawn."""

from collections.abc import Iterator
from collections.abc import Mapping
from collections.abc import Sequence
import typing

from ironic_imagedeploy.cmd import disk_map
from ironic_imagedeploy.cmd import markup
from ironic_imagedeploy.cmd import outcomes
from ironic_imagedeploy.cmd import text
from ironic_imagedeploy import engine

#: Size of the drawing of the speed, which is stretched to its place.
_WIDTH, _HEIGHT = 1000, 200
#: Colours of the parts of a deployment.
_COLOURS = {
    'check': 'grey', 'prepare': 'rose', 'power on': 'gold',
    'ramdisk': 'teal', 'agent': 'grey', 'inspect': 'decode',
    'scan': 'decode', 'write': 'network', 'zero': 'disk',
    'read-back': 'rose', 'compare': 'network', 'finish': 'green',
    'boot': 'green', 'hand-over': 'grey', 'after': 'grey'}
_BOTTLENECKS = {'network': 'waits for the network',
                'decode': 'waits for the processor',
                'disk': 'waits for the disk'}
#: Seconds below which a part is left out.
_LEAST = 0.05

Report = Mapping[str, typing.Any]


def timeline(spans: Sequence[outcomes.Span]) -> markup.Markup:
    """The parts of a deployment: a bar and a table."""
    shown = [span for span in spans if span.seconds >= _LEAST]
    whole = sum(span.seconds for span in shown)
    return markup.join(
        markup.element('div', *(
            markup.element(
                'i', class_=f'c-{colour(span.name)}',
                style=f'flex:{span.seconds:.3f} 0 0',
                title=f'{span.name}: {text.duration(span.seconds)}')
            for span in shown), class_='bar'),
        table(('Part', '>begins after', '>takes', '>share'), ((
            dot(colour(span.name), span.name), text.duration(span.start),
            text.duration(span.seconds),
            text.share(round(span.seconds * 1000), round(whole * 1000)))
            for span in shown)))


def throughput(report: Report) -> markup.Markup | None:
    """How fast a transfer was over time; None when that is not known."""
    samples = list(_samples(report))
    if not samples:
        return None
    end = samples[-1][1]
    top = max(max(read, written) for _, _, read, written, _ in samples)
    if not end or not top:
        return None

    def path(speeds: Sequence[float]) -> str:
        return ''.join(
            f'L{_x(sample[0], end)} {_y(speed, top)}'
            f'L{_x(sample[1], end)} {_y(speed, top)}'
            for sample, speed in zip(samples, speeds, strict=True))

    read = path([sample[2] for sample in samples])
    written = path([sample[3] for sample in samples])
    drawing = markup.element(
        'svg',
        *(markup.element('line', class_='grid', x1=0, x2=_WIDTH,
                         y1=_HEIGHT * part / 4, y2=_HEIGHT * part / 4)
          for part in range(5)),
        markup.element('path', class_='area',
                       d=markup.Markup(f'M0 {_HEIGHT}{written}'
                                       f'L{_WIDTH} {_HEIGHT}Z')),
        markup.element('path', class_='edge',
                       d=markup.Markup(f'M{written[1:]}')),
        markup.element('path', class_='read',
                       d=markup.Markup(f'M{read[1:]}')),
        class_='chart', viewBox=f'0 0 {_WIDTH} {_HEIGHT}',
        preserveAspectRatio='none', role='img',
        aria_label='Speed over time')
    return markup.join(
        _ends(f'{text.size(top)} a second', ''), drawing,
        _strip(samples), _ends('0 s', text.duration(end)),
        legend(('network', 'read of the image file'),
               ('disk', 'written to the disk, zeroes included')),
        legend(*((name, f'below: {words}')
                 for name, words in _BOTTLENECKS.items()
                 if any(sample[4] == name for sample in samples))))


def sources(report: Report) -> markup.Markup | None:
    """Who gave how much of the image; None when that is not known."""
    given = [(source.get('name', ''), source.get('bytes', 0),
              source.get('bad_chunks', 0))
             for source in report.get('sources', ())]
    whole = sum(count for _, count, _ in given)
    if not whole:
        return None
    given.sort(key=lambda source: -source[1])
    return table(
        ('Source', '>gave', '>share', '>bad chunks', ''),
        ((text.without_secrets(name), text.size(count),
          text.share(count, whole), bad or '–',
          meter(count / whole, 'network')) for name, count, bad in given))


def disk(report: Report) -> markup.Markup | None:
    """The disk with its partitions; None when none are known."""
    size = report.get('target_size') or 0
    image = report.get('virtual_size') or 0
    whole = max(size, image)
    parts = [engine.Partition(
        number=part.get('number', 0), start=part.get('start', 0),
        length=part.get('length', 0), type=part.get('type', ''),
        name=part.get('name', '')) for part in report.get('partitions', ())]
    if not whole:
        return None
    boxes = [_box(part.start, part.length, whole, part.number,
                  part.name or disk_map.type_name(part)) for part in parts]
    if whole > image:
        boxes.append(_box(image, whole - image, whole, 'free',
                          text.size(whole - image), 'rest'))
    return markup.join(
        markup.element('div', *boxes, class_='disk'),
        _ends('0', text.size(whole)),
        table(('#', 'Partition', 'type', '>start', '>size'), ((
            part.number, part.name or '–', disk_map.type_name(part),
            text.size(part.start), text.size(part.length))
            for part in parts)) if parts else None)


def table(head: Sequence[str], rows: typing.Iterable[Sequence[typing.Any]]
          ) -> markup.Markup:
    """A table.

    :param head: of the columns; that of numbers begins with ``>``.
    """
    def cells(kind: str, row: Sequence[typing.Any]) -> Iterator[markup.Markup]:
        for title, cell in zip(head, row, strict=True):
            yield markup.element(
                kind, cell, class_='number' if title.startswith('>')
                else 'name')
    return markup.element('div', markup.element(
        'table', markup.element(
            'thead', markup.element('tr', *cells(
                'th', [title.lstrip('>') for title in head]))),
        markup.element('tbody', *(
            markup.element('tr', *cells('td', row)) for row in rows))),
        class_='wide')


def dot(name: str, words: str) -> markup.Markup:
    """A word with its colour."""
    return markup.element(
        'span', markup.element('i', class_=f'dot c-{name}'), words)


def legend(*entries: tuple[str, str]) -> markup.Markup:
    """Colours and what they mean."""
    return markup.element('div', *(dot(*entry) for entry in entries),
                          class_='legend')


def meter(share: float, name: str, mark: float | None = None
          ) -> markup.Markup:
    """A bar for a share of a whole.

    :param mark: another share, where a line is drawn.
    """
    return markup.element(
        'div', markup.element('i', class_=f'c-{name}',
                              style=f'width:{100 * min(share, 1):.2f}%'),
        markup.element('b', style=f'left:{100 * min(mark, 1):.2f}%')
        if mark is not None else None, class_='meter')


def colour(name: str) -> str:
    """The colour of a part of a deployment, known or not."""
    return _COLOURS.get(name, 'grey')


def _samples(report: Report
             ) -> Iterator[tuple[float, float, float, float, str]]:
    """Begin, end, bytes a second read and written, and bottleneck."""
    since = 0.0
    for sample in report.get('throughput', ()):
        until = float(sample.get('seconds', 0.0))
        if until > since:
            took = until - since
            yield (since, until, sample.get('read', 0) / took,
                   sample.get('written', 0) / took,
                   sample.get('bottleneck', ''))
            since = until


def _strip(samples: Sequence[tuple[float, float, float, float, str]]
           ) -> markup.Markup:
    """A strip that shows what limited the speed, sample by sample."""
    return markup.element('div', *(
        markup.element(
            'i', style=f'flex:{until - since:.3f} 0 0',
            class_='c-' + (name if name in _BOTTLENECKS else 'line'),
            title=_BOTTLENECKS.get(name, name))
        for since, until, _, _, name in samples), class_='strip')


def _box(start: int, length: int, whole: int, number: typing.Any,
         words: str, style: str | None = None) -> markup.Markup:
    left = 100 * min(start / whole, 1.0)
    width = min(100 * length / whole, 100.0 - left)
    return markup.element(
        'div', markup.element('b', number), markup.element('br'), words,
        class_=style, style=f'left:{left:.3f}%;width:{width:.3f}%',
        title=f'{number} {words}, {text.size(length)} at {text.size(start)}')


def _ends(left: str, right: str) -> markup.Markup:
    return markup.element('div', markup.element('span', left),
                          markup.element('span', right), class_='ends')


def _x(seconds: float, end: float) -> str:
    return f'{_WIDTH * seconds / end:.1f}'


def _y(speed: float, top: float) -> str:
    return f'{_HEIGHT * (1 - speed / top):.1f}'
