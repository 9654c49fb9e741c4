source "amazon-ebs" "al2023" {
  ami_name        = "team-al2023-${var.release}"
  ami_description = "Agent ${var.agent_version}"
  instance_type   = "t3.micro"
  region          = var.region
  ssh_username    = "admin"
  ssh_port        = 2322
  tags            = local.image_tags
  run_tags        = var.run_tags
  run_volume_tags = var.run_tags

  launch_block_device_mappings {
    device_name           = "/dev/xvda"
    volume_size           = var.block_device_size_gb
    volume_type           = "gp3"
    delete_on_termination = true
  }

  source_ami_filter {
    owners      = ["136693071363"]
    most_recent = true
    filters     = { name = "debian-12-amd64-*" }
  }
}
