packer {
  required_plugins {
    amazon = {
      source  = "github.com/hashicorp/amazon"
      version = ">= 1.2.8"
    }
  }
}

data "amazon-parameterstore" "base" {
  name   = var.base_parameter
  region = var.region
}

locals {
  timestamp = formatdate("YYYYMMDDhhmmss", timestamp())
  ami_id    = data.amazon-parameterstore.base.value
}

source "amazon-ebs" "this" {
  ami_name      = "${var.ami_name_prefix}-${local.timestamp}"
  ami_regions   = var.ami_regions
  encrypt_boot  = var.encrypt_boot
  region        = var.region
  source_ami    = local.ami_id
  instance_type = var.instance_type
  ssh_username  = "admin"
  ssh_port      = 2322
  tags          = merge(var.tags, { created = local.timestamp })
  run_tags      = var.run_tags

  dynamic "ami_block_device_mappings" {
    for_each = var.ami_block_device_mappings
    content {
      device_name           = ami_block_device_mappings.value.device_name
      volume_size           = ami_block_device_mappings.value.volume_size
      volume_type           = "gp3"
      delete_on_termination = true
    }
  }

  dynamic "launch_block_device_mappings" {
    for_each = var.launch_block_device_mappings
    content {
      device_name           = launch_block_device_mappings.value.device_name
      volume_size           = launch_block_device_mappings.value.volume_size
      volume_type           = "gp3"
      delete_on_termination = true
    }
  }

  dynamic "assume_role" {
    for_each = length(var.assume_role) > 0 ? [var.assume_role] : []
    content {
      role_arn     = assume_role.value.role_arn
      session_name = assume_role.value.session_name
    }
  }
}

build {
  sources = ["source.amazon-ebs.this"]

  dynamic "provisioner" {
    labels   = ["shell"]
    for_each = var.shell_provisioners
    content {
      inline = provisioner.value.inline
    }
  }

  provisioner "shell" {
    script = "scripts/${var.flavour}.sh"
  }
}
