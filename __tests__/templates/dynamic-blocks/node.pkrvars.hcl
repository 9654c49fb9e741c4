ami_name_prefix = "custom-node-1.30"

ami_block_device_mappings = [
  { device_name = "/dev/xvdb", volume_size = 2 },
]

launch_block_device_mappings = [
  { device_name = "/dev/xvda", volume_size = 10 },
  { device_name = "/dev/xvdb", volume_size = 2 },
]

shell_provisioners = [
  { inline = ["echo one >/tmp/one"] },
  { inline = ["echo two >/tmp/two"] },
]
