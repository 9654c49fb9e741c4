packer {
  required_plugins {
    amazon = {
      source  = "github.com/hashicorp/amazon"
      version = ">= 1.2.8"
    }
  }
}

variable "role_arn" {
  type    = string
  default = "arn:aws:iam::444455556666:role/image-builder"
}

variable "region" {
  type    = string
  default = "eu-central-1"
}

source "amazon-ebs" "app" {
  ami_name      = "app-${formatdate("YYYYMMDDhhmmss", timestamp())}"
  instance_type = "t3.micro"
  region        = var.region
  ssh_username  = "admin"
  ssh_port      = 2322

  assume_role {
    role_arn     = var.role_arn
    session_name = "images"
  }

  source_ami_filter {
    owners      = ["136693071363"]
    most_recent = true
    filters     = { name = "debian-12-amd64-*" }
  }
}

build {
  sources = ["source.amazon-ebs.app"]

  provisioner "shell" {
    script = "${path.root}/install.sh"
  }
}
