packer {
  required_plugins {
    amazon = {
      source  = "github.com/hashicorp/amazon"
      version = ">= 1.2.8"
    }
  }
}

variable "image_name_prefix" {
  type    = string
  default = "worker"
}

variable "volume_size" {
  type    = string
  default = "10"
}

locals {
  image_name = "${var.image_name_prefix}-linux-${formatdate("YYYYMMDDhhmmss", timestamp())}"
}

source "amazon-ebs" "linux" {
  ami_name                    = local.image_name
  associate_public_ip_address = true
  communicator                = "ssh"
  instance_type               = "t3.micro"
  region                      = "us-west-2"
  ssh_username                = "admin"
  ssh_port                    = 2322
  ssh_timeout                 = "10m"
  user_data_file              = "setup_ssh.sh"

  aws_polling {
    delay_seconds = 2
    max_attempts  = 300
  }

  launch_block_device_mappings {
    device_name           = "/dev/xvda"
    volume_size           = var.volume_size
    volume_type           = "gp3"
    delete_on_termination = true
  }

  source_ami_filter {
    owners      = ["136693071363"]
    most_recent = true
    filters     = { name = "debian-12-amd64-*" }
  }
}

build {
  sources = ["source.amazon-ebs.linux"]

  provisioner "shell" {
    script       = "bootstrap.sh"
    pause_before = "1s"
  }
}
