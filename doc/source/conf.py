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

"""Configuration of Sphinx for the documentation."""

import pathlib
import sys

sys.path.insert(0, str(pathlib.Path(__file__).parents[1] / 'ext'))

extensions = [
    'finding_codes',
    'openstackdocstheme',
    'oslo_config.sphinxconfiggen',
    'oslo_config.sphinxext',
    'seen',
    'sphinx.ext.autodoc',
]

project = 'ironic-imagedeploy'
copyright = 'OpenStack Foundation'
root_doc = 'index'
exclude_patterns = []

html_theme = 'openstackdocs'
pygments_style = 'native'
openstackdocs_auto_name = False
openstackdocs_repo_name = 'openstack/ironic-imagedeploy'
openstackdocs_use_storyboard = False
html_static_path = []

autodoc_member_order = 'bysource'
autodoc_typehints = 'description'
autodoc_typehints_description_target = 'documented'
add_module_names = False

config_generator_config_file = [
    ('../../tools/config/ironic-imagedeploy.conf',
     '_static/ironic-imagedeploy'),
]
