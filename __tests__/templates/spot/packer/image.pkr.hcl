packer {
  required_plugins {
    amazon = {
      source  = "github.com/hashicorp/amazon"
      version = ">= 1.2.8"
    }
  }
}

variable "region" {
  type    = string
  default = "eu-central-1"
}

source "amazon-ebs" "spot" {
  ami_name                 = "spot-${formatdate("YYYYMMDDhhmmss", timestamp())}"
  region                   = var.region
  spot_price               = "auto"
  spot_instance_types      = ["t3.micro", "t3.small"]
  spot_allocation_strategy = "price-capacity-optimized"
  ssh_username             = "admin"
  ssh_port                 = 2322

  source_ami_filter {
    owners      = ["136693071363"]
    most_recent = true
    filters     = { name = "debian-12-amd64-*" }
  }
}

build {
  sources = ["source.amazon-ebs.spot"]

  provisioner "shell" {
    script = "${path.root}/install.sh"
  }
}
