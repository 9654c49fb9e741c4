variable "build_sha" {
  type    = string
  default = "none"
}

locals {
  timestamp = regex_replace(timestamp(), "[- TZ:]", "")
  distro    = "debian-12"
}

source "amazon-ebs" "latest_debian" {
  ami_name             = "e2e-v3-${local.distro}-amd64-${local.timestamp}"
  iam_instance_profile = ""
  instance_type        = "t3.medium"
  region               = "us-east-1"
  ssh_username         = "admin"
  ssh_port             = 2322
  ssh_interface        = "public_ip"

  source_ami_filter {
    owners      = ["136693071363"]
    most_recent = true
    filters     = { name = "debian-12-amd64-*" }
  }

  tags = {
    OS         = "Debian"
    Version    = "12"
    BuilderSha = var.build_sha
  }
}

build {
  sources = ["source.amazon-ebs.latest_debian"]

  provisioner "file" {
    source      = "./linux"
    destination = "/tmp/linux"
  }

  provisioner "shell" {
    inline = ["test -f /tmp/linux/agent.service"]
  }

  provisioner "shell" {
    script = "./linux/setup.sh"
  }
}
