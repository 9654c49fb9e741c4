packer {
  required_plugins {
    amazon = {
      source  = "github.com/hashicorp/amazon"
      version = ">= 1.2.8"
    }
  }
}

variable "ami" {
  type    = string
  default = "debian-12-amd64-*"
}

variable "ami_name" {
  type    = string
  default = "database"
}

variable "ami_regions" {
  type    = list(string)
  default = ["us-east-1"]
}

variable "ansible_arguments" {
  type    = string
  default = "--skip-tags install-extra"
}

variable "aws_access_key" {
  type    = string
  default = env("AWS_ACCESS_KEY_ID")
}

variable "aws_secret_key" {
  type    = string
  default = env("AWS_SECRET_ACCESS_KEY")
}

variable "build-vol" {
  type    = string
  default = "xvdc"
}

variable "environment" {
  type    = string
  default = "prod"
}

variable "git-head-version" {
  type    = string
  default = "unknown"
}

variable "database-version" {
  type    = string
  default = ""
}

variable "region" {
  type    = string
  default = "us-east-1"
}

source "amazon-ebssurrogate" "source" {
  ami_name                    = "${var.ami_name}-${var.database-version}-${formatdate("YYYYMMDDhhmmss", timestamp())}"
  ami_architecture            = "x86_64"
  ami_regions                 = var.ami_regions
  ami_virtualization_type     = "hvm"
  associate_public_ip_address = true
  ena_support                 = true
  instance_type               = "t3.small"
  region                      = var.region
  ssh_username                = "admin"
  ssh_port                    = 2322

  launch_block_device_mappings {
    device_name           = "/dev/xvdf"
    delete_on_termination = true
    volume_size           = 4
    volume_type           = "gp3"
  }

  launch_block_device_mappings {
    device_name           = "/dev/xvdh"
    delete_on_termination = true
    volume_size           = 2
    volume_type           = "gp3"
  }

  launch_block_device_mappings {
    device_name           = "/dev/${var.build-vol}"
    delete_on_termination = true
    volume_size           = 4
    volume_type           = "gp2"
    omit_from_artifact    = true
  }

  run_tags = {
    creator = "packer"
    appType = "database"
  }
  run_volume_tags = { creator = "packer" }
  snapshot_tags   = { creator = "packer" }
  tags = {
    creator   = "packer"
    dbVersion = var.database-version
    sourceSha = var.git-head-version
  }

  ami_root_device {
    source_device_name    = "/dev/xvdf"
    device_name           = "/dev/xvda"
    delete_on_termination = true
    volume_size           = 4
    volume_type           = "gp3"
  }

  source_ami_filter {
    owners      = ["136693071363"]
    most_recent = true
    filters     = { name = var.ami }
  }
}

build {
  sources = ["source.amazon-ebssurrogate.source"]

  provisioner "file" {
    source      = "ebssurrogate/files/sources.list"
    destination = "/tmp/sources.list"
  }

  provisioner "shell" {
    environment_vars = [
      "ARGS=${var.ansible_arguments}",
      "VERSION=${var.database-version}",
    ]
    use_env_var_file    = true
    script              = "ebssurrogate/scripts/surrogate.sh"
    execute_command     = "sudo sh -c '. {{.EnvVarFile}} && {{.Path}}'"
    start_retry_timeout = "5m"
    skip_clean          = true
  }

  provisioner "file" {
    source      = "/tmp/surrogate.log"
    destination = "surrogate.log"
    direction   = "download"
  }
}
