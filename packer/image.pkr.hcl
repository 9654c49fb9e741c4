# An example template. The action sets the first block of variables; the rest is yours.
# By hand: packer init packer && packer build packer

packer {
  required_plugins {
    amazon = {
      source = "github.com/hashicorp/amazon"
      # Before 1.8.1 the build fails when a new image or snapshot is not visible yet.
      version = ">= 1.8.1"
    }
  }
}

variable "ami_name" {
  type        = string
  default     = ""
  description = "Name of the image. Empty: web and the time."
}

variable "ami_tags" {
  type        = map(string)
  default     = {}
  description = "Tags of the image and its snapshots."
}

variable "run_tags" {
  type        = map(string)
  default     = {}
  description = "Tags of everything temporary. The action finds the leftovers of an interrupted build by these."
}

variable "source_ami" {
  type        = string
  default     = ""
  description = "Image to build on. Empty: the newest Debian 12."
}

variable "source_root_device" {
  type        = string
  default     = ""
  description = "Root device of source_ami, where that is known."
}

variable "instance_type" {
  type        = string
  default     = "t3.small"
  description = "Type of the build instance, not of the instances that run the image."
}

variable "region" {
  type    = string
  default = null
}

variable "ami_regions" {
  type        = list(string)
  default     = []
  description = "Regions that get a copy."
}

variable "app_version" {
  type        = string
  default     = "dev"
  description = "Version that the service reports, in /opt/web/version."
}

variable "ssh_username" {
  type        = string
  default     = "admin"
  description = "admin for Debian, ec2-user for Amazon Linux, ubuntu for Ubuntu."
}

variable "ssh_port" {
  type    = number
  default = 22
}

variable "subnet_id" {
  type        = string
  default     = null
  description = "Subnet of the build instance. Empty: a subnet of the default VPC."
}

variable "associate_public_ip_address" {
  type        = bool
  default     = null
  description = "true in a subnet that assigns no public address, so that the runner reaches the instance."
}

variable "ssh_from_runner_only" {
  type        = bool
  default     = false
  description = "Opens SSH to the public address of the runner alone, which is read from checkip.amazonaws.com. Else to every address."
}

variable "kms_key_id" {
  type        = string
  default     = ""
  description = "Encrypts the image, whatever its root device is called. Use a customer managed key: an image encrypted with the AWS managed key cannot be shared with other accounts."
}

variable "root_device" {
  type        = string
  default     = null
  description = "Root device of the base image: /dev/xvda for Debian and Amazon Linux, /dev/sda1 for Ubuntu and RHEL. Default: source_root_device, else by ssh_username. Empty: the build gets the disk of the base image."
}

locals {
  # Amazon Linux and RHEL have the same user and different root devices, which an encrypted build must not confuse.
  by_user     = lookup({ admin = "/dev/xvda", ubuntu = "/dev/sda1" }, var.ssh_username, var.kms_key_id == "" || var.source_ami == "" ? "/dev/xvda" : "")
  usual_root  = var.source_root_device == "" ? local.by_user : var.source_root_device
  root_device = var.root_device == null ? local.usual_root : var.root_device
  # A known root device is encrypted at launch. Else Packer encrypts a copy, whose snapshots the shipped role may not tag.
  encrypts_copy = var.kms_key_id != "" && local.root_device == ""

  name = var.ami_name != "" ? var.ami_name : "web-${formatdate("YYYYMMDDhhmmss", timestamp())}"
}

source "amazon-ebs" "web" {
  ami_name        = local.name
  ami_description = "web ${var.app_version}"
  ami_regions     = var.ami_regions
  instance_type   = var.instance_type
  region          = var.region
  source_ami      = var.source_ami
  subnet_id       = var.subnet_id
  encrypt_boot    = local.encrypts_copy ? true : null
  kms_key_id      = local.encrypts_copy ? var.kms_key_id : null

  associate_public_ip_address               = var.associate_public_ip_address
  temporary_security_group_source_public_ip = var.ssh_from_runner_only

  dynamic "source_ami_filter" {
    for_each = var.source_ami == "" ? ["debian-12-amd64-*"] : []
    content {
      owners      = ["136693071363"] # https://wiki.debian.org/Cloud/AmazonEC2Image
      most_recent = true
      filters = {
        name                = source_ami_filter.value
        architecture        = "x86_64"
        virtualization-type = "hvm"
      }
    }
  }

  # A fast disk for the minutes of the build, when packages are written and the snapshot is read. Instances of the image get the usual one.
  # https://docs.aws.amazon.com/ebs/latest/userguide/general-purpose.html#gp3-ebs-volume-type
  dynamic "launch_block_device_mappings" {
    for_each = local.root_device == "" ? [] : [local.root_device]
    content {
      device_name           = launch_block_device_mappings.value
      volume_type           = "gp3"
      iops                  = 4000
      throughput            = 1000
      delete_on_termination = true
      encrypted             = var.kms_key_id == "" ? null : true
      kms_key_id            = var.kms_key_id == "" ? null : var.kms_key_id
    }
  }
  dynamic "ami_block_device_mappings" {
    for_each = local.root_device == "" ? [] : [local.root_device]
    content {
      device_name           = ami_block_device_mappings.value
      volume_type           = "gp3"
      iops                  = 3000
      throughput            = 125
      delete_on_termination = true
    }
  }

  # IMDSv2 only, for the build and for every instance of the image.
  imds_support = "v2.0"
  metadata_options {
    http_endpoint               = "enabled"
    http_tokens                 = "required"
    http_put_response_hop_limit = 1
  }

  communicator            = "ssh"
  ssh_username            = var.ssh_username
  ssh_port                = var.ssh_port
  temporary_key_pair_type = "ed25519"

  tags            = var.ami_tags
  snapshot_tags   = var.ami_tags
  run_tags        = var.run_tags
  run_volume_tags = var.run_tags
}

build {
  sources = ["source.amazon-ebs.web"]

  provisioner "file" {
    source      = "${path.root}/app"
    destination = "/tmp"
  }

  provisioner "shell" {
    execute_command  = "chmod +x '{{ .Path }}'; sudo env {{ .Vars }} '{{ .Path }}'"
    environment_vars = ["APP_VERSION=${var.app_version}"]
    scripts = [
      "${path.root}/scripts/install.sh",
      "${path.root}/scripts/harden.sh",
      "${path.root}/scripts/clean.sh",
    ]
  }
}
