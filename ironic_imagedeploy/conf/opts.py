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

"""The options of groups [imagedeploy] and [imagedeploy-redfish]."""

from oslo_config import cfg
from oslo_config import types

from ironic_imagedeploy.contract import policy

GROUP = cfg.OptGroup(
    'imagedeploy', title='The imagedeploy deploy interface',
    help='Read by ironic-conductor, which sends its values to the deploy '
         'ramdisk with every deployment. A ramdisk uses its own values only '
         'for what the conductor did not send.')

OPTS = [
    cfg.ListOpt(
        'permitted_formats',
        item_type=types.String(choices=policy.FORMATS),
        default=list(policy.PERMITTED_FORMATS),
        help='Image formats that may be deployed: raw, qcow2, vmdk, vdi. '
             'Other images are refused before a node is touched. The '
             'default leaves out vmdk and vdi, because few need them and '
             'each format permitted is one more parser that reads data of '
             'users.'),
    cfg.StrOpt(
        'read_back', default='none',
        choices=list(zip(policy.READ_BACKS, (
            'Trust the disk: the checksum of the image is verified all the '
            'same.',
            'Read parts of the image back from the disk.',
            'Read the whole image back from the disk.'), strict=True)),
        help='What is read back from the disk, once the image is written, '
             'and compared with the image before it becomes bootable. The '
             'default adds no time; full adds about as long as the disk '
             'needs to read what was written, and finds disks and '
             'controllers that lose or damage writes.'),
    cfg.StrOpt(
        'verify', default=policy.PROOFS[0],
        choices=list(zip(policy.PROOFS, (
            'Verify each chunk by the manifest of the image, before a byte '
            'of it is used.',
            'Verify the checksum of the whole file, in the end.',
            'Verify both.'), strict=True)),
        help='What the deploy ramdisk verifies of an image that '
             'ironic-conductor serves. While the conductor verifies the '
             'checksum in Glance, it makes a manifest: the SHA-256 of every '
             'chunk of the file. The default lets all processors of a node '
             'verify chunks, and nodes fetch nothing that is zero; the '
             'checksum of a whole file is work for one processor, some 0.5 '
             'GB/s of SHA-512. With file there is no manifest. An image that '
             'a node fetches from elsewhere has none, and is verified by its '
             'checksum in any case.'),
    cfg.StrOpt(
        'start_findings', default=policy.START_MODES[0],
        choices=list(zip(policy.START_MODES, (
            'Tell of what is found, and deploy the image all the same, unless '
            'no kernel in it has a driver for the controller of the disk.',
            'Refuse an image for anything that is found.',
            'Do not look.'), strict=True)),
        help='What becomes of findings about how the system in an image '
             'starts: a missing driver, a root that nothing has, a console '
             'that nobody sees. The conductor looks at the image when it '
             'checks it, with the devices in the inventory of the node; the '
             'agent looks at its own machine, before it touches the disk. '
             'The default refuses only what cannot start: most findings are '
             'of no importance on some machines. To look takes some tenths '
             'of a second of each deployment; off is for who builds all '
             'images with care, or deploys systems that are not Linux only. '
             'The owner of an image may be stricter, or mute what is not '
             'raised here, by properties with the names of these options '
             'after imagedeploy_.'),
    cfg.ListOpt(
        'start_findings_raised', default=[],
        item_type=types.String(choices=policy.START_CODES),
        help='Codes of findings about how the system in an image starts that '
             'refuse it even with start_findings = warn, such as '
             'no-first-boot-agent where all users rely on a config drive. '
             'The owner of an image cannot mute them. The default is none, '
             'because what suits a machine depends on what it is for.'),
    cfg.ListOpt(
        'start_findings_muted', default=[],
        item_type=types.String(choices=policy.START_CODES),
        help='Codes of findings about how the system in an image starts of '
             'which nothing is said, nor refused, such as '
             'serial-console-only where all machines have one. The default '
             'is none, so that nobody misses what was not known to be '
             'there.'),
    cfg.BoolOpt(
        'insecure_checksums_permitted', default=False,
        help='Whether images may be deployed that have no better checksum '
             'than md5 or sha1. The default refuses them, because for these '
             'anybody can make another image with the same checksum. Images '
             'that Glance stored since its release Rocky have a sha512. For '
             'md5, [agent]allow_md5_checksum of Ironic is needed as well.'),
    cfg.IntOpt(
        'workers', default=0, min=0, max=256,
        help='Number of threads in the deploy ramdisk that decode compressed '
             'clusters. The default, 0, is three for each processor of the '
             'node, 16 at most; fewer leave more of a small node to the '
             'agent.'),
    cfg.IntOpt(
        'decompression_memory', default=128, min=8, max=1024,
        help='MiB of memory that the window of a raw image may take which is '
             'compressed as a whole by zstd or xz. A file that asks for more '
             'is refused. The default is what zstd -d takes: zstd --ultra '
             '-22 asks for 128 MiB, xz -9 for 64, and the usual levels of '
             'both for 8. Less keeps nodes of little memory safe; images by '
             'zstd --long=30 need 1024.'),
    cfg.IntOpt(
        'minimum_speed', default=0, min=0,
        help='Bytes per second that a web server must give a node at least, '
             'on the average of the seconds that the agent waits for it, '
             '[DEFAULT]image_download_connection_timeout of them. A slower '
             'one is given up for the next URL of the image, or else ends '
             'the deployment. The default, 0, only gives up connections of '
             'less than 1024 bytes per second: slow links are honest in some '
             'places. Where they are not, a server that trickles holds a '
             'node for days.'),
    cfg.IntOpt(
        'cache_recheck_interval', default=3600, min=0,
        help='Seconds after which an image in the cache of the conductor is '
             'read and hashed again before it is given to another node. In '
             'between, its size and the time of its last change show that '
             'nobody wrote to it. The default finds damage by the disk '
             'itself within an hour, at the price of one reading; 0 reads '
             'the image for every node. The node verifies the checksum in '
             'any case. Read by ironic-conductor only.'),
    cfg.BoolOpt(
        'disk_manifests', default=False,
        help='Whether ironic-conductor makes, of each image with compressed '
             'clusters, a second manifest: the SHA-256 of every chunk of the '
             'disk in it. By that a node that is rebuilt finds what its disk '
             'holds of the image already, and fetches the rest; without it, '
             'a rebuild with a compressed image fetches the whole image. The '
             'default is off, because the conductor decodes the image for '
             'it, once, while the first node waits: 3 to 4 seconds of a '
             'processor, shared by two, for each GiB of data. It takes no '
             'space but 40 KiB for each GiB of disk. Images without '
             'compression need none. The manifests of files that are made '
             'while it is on have smaller chunks, so that what changed is '
             'fetched with less around it. Only used where verify is chunks. '
             'Read by ironic-conductor only.'),
    cfg.BoolOpt(
        'neighbours', default=False,
        help='Whether nodes that write the same image at the same time give '
             'each other chunks of it, so that the conductor sends it a few '
             'times however many they are. Each chunk is verified by the '
             'manifest of the image, whoever gave it, and what no neighbour '
             'gives comes from the conductor. Only nodes of one project '
             'share, unless the image is public in Glance. The default is '
             'off, because nodes then listen on neighbour_port of the '
             'network that they are deployed in, and must reach each other '
             'there. Has no effect where verify is file, nor where the nodes '
             'fetch the image from elsewhere. Read by ironic-conductor '
             'only.'),
    cfg.IntOpt(
        'neighbour_seeds', default=1, min=1, max=64,
        help='Number of nodes of an image that have no neighbours, and fetch '
             'all of it from the conductor. The others get what these have, '
             'and go to the conductor themselves where that is faster, or '
             'where these fail. The default lets one node have the whole '
             'link of the conductor: more of them share it, and hold all '
             'others up where it is as narrow as that of a node; where it '
             'was four times as wide, four of them did not end sooner, and '
             'had the conductor send the image twice as often. Only used '
             'with neighbours. Read by ironic-conductor only.'),
    cfg.PortOpt(
        'neighbour_port', default=9998, min=1,
        help='TCP port on which the agent of a node gives chunks of its image '
             'to other nodes, by TLS with the certificate of the agent. The '
             'default is the one below that of the agent itself, 9999, so '
             'that firewalls which let conductors reach agents need one port '
             'more between the nodes. Only used with neighbours. Read by '
             'ironic-conductor, which sends it with the order.'),
    cfg.BoolOpt(
        'require_agent', default=True,
        help='Whether a deployment fails, before the disk is touched, when '
             'the deploy ramdisk does not carry the agent side of '
             'imagedeploy. When False, the image writer of '
             'ironic-python-agent then writes the image as it does for the '
             'direct deploy interface, without the promises of imagedeploy: '
             'that eases a migration of ramdisks. Read by ironic-conductor '
             'only.'),
    cfg.BoolOpt(
        'kexec', default=False,
        help='Experimental. Whether the deployed system of a node may be '
             'started by kexec from the deploy ramdisk, without a second '
             'start of the firmware, which takes minutes on many servers. It '
             'is, where driver_info of the node has imagedeploy_kexec = true '
             'as well, the network interface of the node is noop, and '
             'nothing else is in the way; otherwise the node is started as '
             'always. The default is off: hardware that only its firmware '
             'puts into order may not work under a system that is started '
             'like that, and measured boot does not see it. Read by '
             'ironic-conductor only.'),
    cfg.BoolOpt(
        'extend_hardware_types', default=True,
        help='Whether every hardware type of Ironic accepts imagedeploy. To '
             'that end the list of deploy interfaces that all of them '
             'inherit is extended while ironic-conductor starts, so the '
             'nodes that exist need no other hardware type. When False, '
             'only hardware types that name the interface themselves accept '
             'it: imagedeploy-redfish, imagedeploy-ipmi, and those of '
             'others. Read by ironic-conductor only.'),
    cfg.IntOpt(
        'progress_interval', default=10, min=0, max=3600,
        help='Seconds between two looks of ironic-conductor at the agents '
             'that write an image, whose progress it then shows in '
             'driver_internal_info of their nodes. The default keeps what '
             'is shown younger than 15 seconds, and costs the conductor a '
             'few milliseconds of processor time per node and look. With 0 '
             'it does not look, and the progress comes with the heartbeats '
             'of the agents only, which are minutes apart. Read by '
             'ironic-conductor only.'),
    cfg.IntOpt(
        'stall_threshold', default=30, min=5, max=3600,
        help='Seconds without a new byte on the disk after which the '
             'progress of a write is called stalled; nothing else happens '
             'then. The default is longer than disks and networks pause in '
             'normal operation, and shorter than the time after which a '
             'silent connection is given up and resumed. Read by '
             'ironic-conductor only.'),
]

REDFISH_GROUP = cfg.OptGroup(
    'imagedeploy-redfish', title='The hardware type imagedeploy-redfish',
    help='Ironic looks for this option in a group with the name of the '
         'hardware type. All else of Redfish is set in [redfish].')

REDFISH_OPTS: list[cfg.Opt] = [
    cfg.StrOpt(
        'verify_ca', default='${redfish.verify_ca}',
        help='File or folder of the certificates that the BMC of a node of '
             'hardware type imagedeploy-redfish is verified with, where '
             'redfish_verify_ca of its driver_info is missing or True. The '
             'default is that of [redfish]verify_ca, so that such nodes '
             'behave as those of hardware type redfish.'),
]


def register_opts(conf: cfg.ConfigOpts) -> None:
    """Make the options known; more than once does no harm."""
    conf.register_opts(OPTS, group=GROUP.name)


def register_redfish_opts(conf: cfg.ConfigOpts) -> None:
    """Make the options of the hardware type imagedeploy-redfish known."""
    conf.register_opts(REDFISH_OPTS, group=REDFISH_GROUP.name)


def list_opts() -> list[tuple[cfg.OptGroup, list[cfg.Opt]]]:
    """The options for oslo-config-generator."""
    return [(GROUP, OPTS), (REDFISH_GROUP, REDFISH_OPTS)]
