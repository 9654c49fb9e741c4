packer {
  required_plugins {
    amazon = {
      source  = "github.com/hashicorp/amazon"
      version = ">= 1.2.8"
    }
  }
}

variable "ami_regions" {
  type    = list(string)
  default = []
}

variable "build_bucket" {
  type    = string
  default = ""
}

variable "build_region" {
  type    = string
  default = "us-east-1"
}

variable "build_region_kms" {
  type    = string
  default = "alias/desktop-images"
}

variable "is_prerelease" {
  type    = bool
  default = false
}

variable "region_kms_keys" {
  type    = map(string)
  default = {}
}

variable "release_tag" {
  type    = string
  default = ""
}

variable "skip_create_ami" {
  type    = bool
  default = false
}

data "amazon-ami" "debian_12" {
  filters = {
    name                = "debian-12-amd64-*"
    root-device-type    = "ebs"
    virtualization-type = "hvm"
  }
  most_recent = true
  owners      = ["136693071363"]
  region      = var.build_region
}

locals {
  timestamp = regex_replace(timestamp(), "[- TZ:]", "")
}

source "amazon-ebs" "desktop" {
  ami_name                    = "desktop-hvm-${local.timestamp}-x86_64-ebs"
  ami_regions                 = var.ami_regions
  associate_public_ip_address = true
  encrypt_boot                = true
  instance_type               = "t3.medium"
  kms_key_id                  = var.build_region_kms
  region                      = var.build_region
  region_kms_key_ids          = var.region_kms_keys
  skip_create_ami             = var.skip_create_ami
  source_ami                  = data.amazon-ami.debian_12.id
  ssh_username                = "admin"
  ssh_port                    = 2322

  launch_block_device_mappings {
    delete_on_termination = true
    device_name           = "/dev/xvda"
    encrypted             = true
    volume_size           = 8
    volume_type           = "gp3"
  }

  vpc_filter {
    filters = { isDefault = "true" }
  }

  subnet_filter {
    filters   = { default-for-az = "true" }
    most_free = true
    random    = false
  }

  tags = {
    Application   = "desktop"
    Base_AMI_Name = data.amazon-ami.debian_12.name
    Pre_Release   = var.is_prerelease
    Release       = var.release_tag
    Team          = "VM"
  }
}

build {
  sources = ["source.amazon-ebs.desktop"]

  provisioner "shell" {
    execute_command = "chmod +x {{ .Path }}; sudo env {{ .Vars }} sh {{ .Path }}"
    inline          = ["true"]
    skip_clean      = true
  }

  provisioner "shell" {
    script = "src/upgrade.sh"
  }
}
