packer {
  required_plugins {
    amazon = {
      source  = "github.com/hashicorp/amazon"
      version = ">= 1.2.8"
    }
  }
}

variable "ami_regions" {
  type = list(string)
}

variable "source_region" {
  type    = string
  default = "eu-central-1"
}

variable "app_port" {
  type    = number
  default = 3000
}

source "amazon-ebs" "app" {
  ami_name      = "board-${formatdate("YYYYMMDDhhmmss", timestamp())}"
  ami_regions   = var.ami_regions
  instance_type = "t3.micro"
  region        = var.source_region
  ssh_username  = "admin"
  ssh_port      = 2322

  source_ami_filter {
    owners      = ["136693071363"]
    most_recent = true
    filters     = { name = "debian-12-amd64-*" }
  }
}

build {
  sources = ["source.amazon-ebs.app"]

  provisioner "file" {
    source      = "../../app"
    destination = "/tmp"
  }

  provisioner "file" {
    source      = "app.service"
    destination = "/tmp/app.service"
  }

  provisioner "shell" {
    inline = ["sed -i s/PORT/${var.app_port}/ /tmp/app.service"]
  }
}
