packer {
  required_plugins {
    amazon = {
      source  = "github.com/hashicorp/amazon"
      version = ">= 1.2.8"
    }
  }
}

variable "arch" {
  type    = string
  default = "x86_64"
}

variable "instance_type" {
  type    = string
  default = "t3.small"
}

variable "region" {
  type    = string
  default = "us-east-1"
}

variable "build_number" {
  type    = string
  default = "none"
}

data "amazon-ami" "debian" {
  owners      = ["136693071363"]
  most_recent = true
  region      = var.region
  filters = {
    architecture        = var.arch
    name                = "debian-12-*"
    virtualization-type = "hvm"
  }
}

source "amazon-ebs" "ci-base" {
  ami_description = "CI base (${var.arch})"
  ami_groups      = []
  ami_name        = "ci-base-${var.arch}-${replace(timestamp(), ":", "-")}"
  instance_type   = var.instance_type
  region          = var.region
  source_ami      = data.amazon-ami.debian.id
  ssh_username    = "admin"
  ssh_port        = 2322

  temporary_security_group_source_cidrs = ["0.0.0.0/0"]

  metadata_options {
    http_endpoint = "enabled"
    http_tokens   = "required"
  }

  tags = {
    Name        = "ci-base-linux-${var.arch}"
    BuildNumber = var.build_number
  }
}

build {
  sources = ["source.amazon-ebs.ci-base"]

  provisioner "file" {
    source      = "conf"
    destination = "/tmp"
  }

  provisioner "shell" {
    script = "scripts/install-utils.sh"
  }

  provisioner "shell" {
    scripts = ["../shared/cleanup.sh"]
  }
}
