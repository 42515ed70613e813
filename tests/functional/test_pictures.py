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

"""The pages of the command ``report``, in a browser and in pictures."""

import pathlib
import tempfile
import unittest

from tests.functional import pictures
from tests.support import browser

_BROKEN = '''
[...document.querySelectorAll('main *')].filter(
    each => each.getBoundingClientRect().right > innerWidth + 1
        && !each.closest('.wide, .disk, .strip, .bar, svg')
).map(each => each.outerHTML.slice(0, 80))
'''
#: The ratio of the lightness of each text to that of its ground, by WCAG.
_FAINT = '''
(() => {
  const numbers = colour => colour.match(/[0-9.]+/g).map(Number);
  const light = colour => numbers(colour).slice(0, 3).map(part => part / 255)
    .map(part => part <= 0.03928 ? part / 12.92
         : ((part + 0.055) / 1.055) ** 2.4)
    .reduce((sum, part, at) => sum + part * [0.2126, 0.7152, 0.0722][at], 0);
  const ground = each => {
    for (; each; each = each.parentElement) {
      const found = getComputedStyle(each).backgroundColor;
      if (numbers(found)[3] !== 0) return found;
    }
  };
  const own = each => [...each.childNodes].some(
    child => child.nodeType === 3 && child.data.trim());
  return [...document.querySelectorAll('main *')].filter(own).filter(each => {
    const two = [getComputedStyle(each).color, ground(each)].map(light);
    return (Math.max(...two) + 0.05) / (Math.min(...two) + 0.05) < 4.5;
  }).map(each => each.outerHTML.slice(0, 80));
})()
'''


class PicturesTest(unittest.TestCase):

    def test_pictures_are_those_of_the_pages(self) -> None:
        for name, page in pictures.pages().items():
            with self.subTest(name):
                self.assertEqual(
                    pictures.digest(page), pictures.digest_in(
                        (pictures.FOLDER / f'{name}.png').read_bytes()),
                    'make them anew: python -m tests.functional.pictures')


class BrowserTest(unittest.TestCase):

    def setUp(self) -> None:
        super().setUp()
        try:
            self.tab = browser.Browser()
        except FileNotFoundError:
            self.skipTest('no chromium')
        self.addCleanup(self.tab.close)

    def test_nothing_is_cut_off_or_faint(self) -> None:
        folder = self.enterContext(tempfile.TemporaryDirectory())
        for name, page in pictures.pages().items():
            path = pathlib.Path(folder, f'{name}.html')
            path.write_text(page)
            for width in (320, 390, 768, pictures.WIDTH):
                for scheme in ('light', 'dark'):
                    with self.subTest(name, width=width, scheme=scheme):
                        self.tab.show(path, width, scheme)
                        self.assertEqual(width, self.tab.evaluate(
                            'document.documentElement.scrollWidth'))
                        self.assertEqual([], self.tab.evaluate(_BROKEN))
                        self.assertEqual([], self.tab.evaluate(_FAINT))
