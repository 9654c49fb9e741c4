packer {
  required_plugins {
    amazon = {
      source  = "github.com/hashicorp/amazon"
      version = ">= 1.2.8"
    }
  }
}

variable "ami_base_name" {
  type    = string
  default = ""
}

variable "aws_region" {
  type    = string
  default = "us-east-1"
}

variable "instance_type" {
  type    = string
  default = "t3.micro"
}

variable "host" {
  type    = string
  default = "10.0.0.1"
}

source "amazon-ebs" "debian" {
  ami_description = "An example"
  ami_name        = "${var.ami_base_name}-packer-example ${formatdate("YYYY-MM-DD hh.mm.ss", timestamp())}"
  encrypt_boot    = false
  instance_type   = var.instance_type
  region          = var.aws_region
  ssh_username    = "admin"
  ssh_port        = 2322

  source_ami_filter {
    owners      = ["136693071363"]
    most_recent = true
    filters     = { name = "debian-12-amd64-*" }
  }
}

source "null" "bare-metal" {
  communicator = "ssh"
  ssh_host     = var.host
  ssh_username = "root"
  ssh_password = "unused"
}

source "file" "note" {
  content = "an artifact that is no image"
  target  = "note.txt"
}

build {
  sources = [
    "source.amazon-ebs.debian",
    "source.null.bare-metal",
    "source.file.note",
  ]

  provisioner "shell" {
    inline       = ["echo one", "echo two"]
    pause_before = "1s"
  }
}
