packer {
  required_plugins {
    amazon = {
      source  = "github.com/hashicorp/amazon"
      version = ">= 1.2.8"
    }
  }
}

variable "ami_name" {
  type    = string
  default = "runner"
}

variable "ami_regions" {
  type = list(string)
}

variable "image_version" {
  type    = string
  default = "dev"
}

variable "instance_type" {
  type    = string
  default = "t3.micro"
}

variable "region" {
  type    = string
  default = "us-east-1"
}

variable "subnet_id" {
  type    = string
  default = ""
}

source "amazon-ebssurrogate" "build" {
  ami_name                = var.ami_name
  ami_architecture        = "x86_64"
  ami_description         = "Runner ${var.image_version}"
  ami_groups              = ["all"]
  ami_regions             = var.ami_regions
  ami_virtualization_type = "hvm"
  ena_support             = true
  force_deregister        = true
  force_delete_snapshot   = true
  instance_type           = var.instance_type
  region                  = var.region
  snapshot_groups         = ["all"]
  ssh_username            = "admin"
  ssh_port                = 2322
  subnet_id               = var.subnet_id

  ami_root_device {
    source_device_name    = "/dev/xvdf"
    device_name           = "/dev/xvda"
    volume_size           = 4
    volume_type           = "gp3"
    delete_on_termination = true
  }

  launch_block_device_mappings {
    device_name           = "/dev/xvdf"
    volume_size           = 4
    volume_type           = "gp3"
    delete_on_termination = true
  }

  run_volume_tags = { creator = "runner-build" }
  tags            = { version = var.image_version }

  source_ami_filter {
    owners      = ["136693071363"]
    most_recent = true
    filters     = { name = "debian-12-amd64-*" }
  }
}

build {
  sources = ["source.amazon-ebssurrogate.build"]

  provisioner "shell" {
    execute_command  = "sudo sh -c '{{ .Vars }} {{ .Path }}'"
    environment_vars = ["IMAGE_VERSION=${var.image_version}"]
    inline           = ["echo $IMAGE_VERSION >/tmp/version"]
  }

  provisioner "shell" {
    script = "${path.root}/scripts/bootstrap.sh"
  }
}
