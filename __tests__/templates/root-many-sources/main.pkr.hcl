packer {
  required_plugins {
    amazon = {
      source  = "github.com/hashicorp/amazon"
      version = ">= 1.2.8"
    }
  }
}

locals {
  image_tags = {
    release = var.release
    source  = "{{ .SourceAMIName }}"
  }
}

build {
  sources = [
    "source.amazon-ebs.al1",
    "source.amazon-ebs.al2",
    "source.amazon-ebs.al2arm",
    "source.amazon-ebs.al2gpu",
    "source.amazon-ebs.al2inf",
    "source.amazon-ebs.al2kernel",
    "source.amazon-ebs.al2023",
    "source.amazon-ebs.al2023arm",
    "source.amazon-ebs.al2023neu",
    "source.amazon-ebs.al2023gpu",
    "source.amazon-ebs.deb12",
    "source.amazon-ebs.deb12arm",
    "source.amazon-ebs.deb12min",
  ]

  provisioner "file" {
    source      = "files/90_agent.cfg"
    destination = "/tmp/90_agent.cfg"
  }

  provisioner "shell" {
    inline_shebang = "/bin/sh -ex"
    inline         = ["sudo cp /tmp/90_agent.cfg /etc/90_agent.cfg"]
  }

  provisioner "shell" {
    environment_vars = ["REGION=${var.region}", "AGENT_VERSION=${var.agent_version}"]
    script           = "scripts/install-agent.sh"
  }

  post-processor "manifest" {
    output     = "manifest.json"
    strip_path = true
  }
}
