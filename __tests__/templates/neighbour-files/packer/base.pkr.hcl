source "amazon-ebs" "builder" {
  ami_name              = "${var.ami_name_prefix}-${var.version}-${formatdate("YYYYMMDDhhmmss", timestamp())}"
  ami_regions           = var.ami_regions
  ami_users             = var.ami_account_ids
  communicator          = "ssh"
  encrypt_boot          = var.encrypt_boot
  force_delete_snapshot = var.force_delete_snapshot
  force_deregister      = var.force_deregister
  instance_type         = var.aws_instance_type
  kms_key_id            = var.kms_key_id
  region                = var.aws_region
  ssh_private_key_file  = var.ssh_private_key_file
  ssh_username          = "admin"
  ssh_port              = 2322

  launch_block_device_mappings {
    device_name           = "/dev/xvda"
    volume_size           = var.root_volume_size_gb
    volume_type           = "gp3"
    delete_on_termination = true
    iops                  = var.root_volume_iops
  }

  source_ami_filter {
    filters = {
      name                = "${var.aws_source_ami_filter_name}"
      root-device-type    = "ebs"
      virtualization-type = "hvm"
    }
    owners      = ["${var.aws_source_ami_owner_id}"]
    most_recent = true
  }

  run_tags = { AMI = "${var.ami_name_prefix}", Service = "packer-builder" }

  tags = {
    Builder = "packer-{{packer_version}}"
    Name    = "${var.ami_name_prefix}-${var.version}"
    Version = var.version
  }
}

build {
  sources = ["source.amazon-ebs.builder"]

  provisioner "shell" {
    environment_vars = ["AMI_VERSION=${var.version}"]
    script           = var.playbook_file_path
  }
}
