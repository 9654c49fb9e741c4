source "amazon-ebs" "nine-05" {
  ami_name      = "linux-9-05-${formatdate("YYYYMMDDhhmmss", timestamp())}"
  instance_type = "t3.micro"
  region        = var.aws_region
  ssh_username  = "admin"
  ssh_port      = 2322
  source_ami_filter {
    owners      = ["136693071363"]
    most_recent = true
    filters     = { name = "debian-12-amd64-*" }
  }
}

build {
  sources = ["source.amazon-ebs.nine-05"]

  provisioner "shell" {
    script = "scripts/configure.sh"
  }

  provisioner "shell" {
    inline = ["echo ${var.os_ver}"]
  }
}
