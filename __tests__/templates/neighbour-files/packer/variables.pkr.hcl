variable "ami_account_ids" {
  type    = list(string)
  default = []
}

variable "ami_name_prefix" {
  type    = string
  default = "base"
}

variable "ami_regions" {
  type    = list(string)
  default = []
}

variable "aws_instance_type" {
  type    = string
  default = "t3.small"
}

variable "aws_region" {
  type    = string
  default = "eu-west-2"
}

variable "aws_source_ami_filter_name" {
  type    = string
  default = "debian-12-amd64-*"
}

variable "aws_source_ami_owner_id" {
  type    = string
  default = "136693071363"
}

variable "encrypt_boot" {
  type    = bool
  default = false
}

variable "force_delete_snapshot" {
  type    = bool
  default = false
}

variable "force_deregister" {
  type    = bool
  default = false
}

variable "kms_key_id" {
  type    = string
  default = ""
}

variable "playbook_file_path" {
  type    = string
  default = "../configuration/playbook.sh"
}

variable "root_volume_iops" {
  type    = number
  default = 3000
}

variable "root_volume_size_gb" {
  type    = number
  default = 10
}

variable "ssh_private_key_file" {
  type    = string
  default = ""
}

variable "version" {
  type    = string
  default = "1.0.0"
}
