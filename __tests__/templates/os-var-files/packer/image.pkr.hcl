packer {
  required_plugins {
    amazon = {
      source  = "github.com/hashicorp/amazon"
      version = ">= 1.2.8"
    }
  }
}

locals {
  ami_name = "${var.ami_name}-${formatdate("YYYYMMDDhhmmss", timestamp())}"
}

source "amazon-ebs" "base" {
  ami_name        = local.ami_name
  ami_regions     = var.ami_regions
  instance_type   = "t3.micro"
  region          = var.region
  skip_create_ami = var.skip_create_ami
  ssh_username    = var.ssh_username
  ssh_port        = 2322

  source_ami_filter {
    owners      = [var.base_ami_owner]
    most_recent = true
    filters     = { name = var.base_ami_name }
  }
}

build {
  name    = "node"
  sources = ["source.amazon-ebs.base"]

  provisioner "shell" {
    environment_vars = ["OS=${var.os}"]
    script           = "./scripts/install-deps.sh"
  }

  provisioner "file" {
    source      = "./files"
    destination = "/tmp"
  }

  provisioner "shell" {
    script = "./scripts/os-prep.sh"
  }
}
