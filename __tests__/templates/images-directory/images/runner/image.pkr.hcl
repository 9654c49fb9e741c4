packer {
  required_plugins {
    amazon = {
      source  = "github.com/hashicorp/amazon"
      version = ">= 1.2.8"
    }
  }
}

variable "runner_version" {
  type    = string
  default = "2.320.0"
}

variable "region" {
  type    = string
  default = "us-east-1"
}

variable "instance_type" {
  type    = string
  default = "t3.medium"
}

variable "root_volume_size_gb" {
  type    = number
  default = 8
}

variable "ebs_delete_on_termination" {
  type    = bool
  default = true
}

variable "ami_tags" {
  type    = map(string)
  default = {}
}

variable "snapshot_tags" {
  type    = map(string)
  default = {}
}

variable "custom_shell_commands" {
  type    = list(string)
  default = []
}

data "amazon-parameterstore" "base" {
  name   = "/aws/service/debian/release/12/latest/amd64"
  region = var.region
}

source "amazon-ebs" "runner" {
  ami_name      = "runner-${formatdate("YYYYMMDDhhmmss", timestamp())}"
  instance_type = var.instance_type
  region        = var.region
  ssh_username  = "admin"
  ssh_port      = 2322
  tags          = merge({ base = "{{ .SourceAMI }}" }, var.ami_tags)
  snapshot_tags = var.snapshot_tags

  launch_block_device_mappings {
    device_name           = "/dev/xvda"
    volume_type           = "gp3"
    volume_size           = var.root_volume_size_gb
    delete_on_termination = var.ebs_delete_on_termination
  }

  source_ami_filter {
    owners      = ["136693071363"]
    most_recent = true
    filters = {
      name                = "*debian-12-amd64-*"
      root-device-type    = "ebs"
      virtualization-type = "hvm"
    }
  }
}

build {
  name    = "actions-runner"
  sources = ["source.amazon-ebs.runner"]

  provisioner "shell" {
    environment_vars = ["BASE=${jsondecode(jsonencode({ id = data.amazon-parameterstore.base.value })).id}"]
    inline           = concat(["echo $BASE >/tmp/base"], var.custom_shell_commands)
  }

  provisioner "file" {
    content = templatefile("${path.root}/start.sh.tftpl", {
      runner_version = var.runner_version
    })
    destination = "/tmp/start.sh"
  }

  provisioner "shell" {
    script = "${path.root}/../install-runner.sh"
  }

  post-processor "manifest" {
    output     = "manifest.json"
    strip_path = true
  }
}
