packer {
  required_plugins {
    amazon = {
      source  = "github.com/hashicorp/amazon"
      version = ">= 1.2.8"
    }
  }
}

data "amazon-ami" "example" {
  filters = {
    virtualization-type = "hvm"
    name                = "debian-12-amd64-*"
    root-device-type    = "ebs"
  }
  owners      = ["136693071363"]
  most_recent = true
  region      = "eu-west-1"
}

source "amazon-ebs" "basic" {
  region         = "eu-west-1"
  source_ami     = data.amazon-ami.example.id
  instance_type  = "t3.small"
  ssh_username   = "admin"
  ssh_port       = 2322
  ssh_agent_auth = false
  ami_name       = "basic_{{timestamp}}"
}

build {
  sources = ["source.amazon-ebs.basic"]

  provisioner "shell-local" {
    inline = ["echo on this machine"]
  }

  provisioner "shell" {
    script = "${path.root}/hello.sh"
  }

  post-processor "manifest" {
    output = "packer-manifest.json"
  }

  post-processors {
    post-processor "artifice" {
      files = ["packer-manifest.json"]
    }

    post-processor "checksum" {
      checksum_types = ["sha256"]
      output         = "basic_{{.BuildName}}_{{.ChecksumType}}.checksum"
    }
  }

  post-processor "shell-local" {
    inline = ["echo built >built.txt"]
  }
}
