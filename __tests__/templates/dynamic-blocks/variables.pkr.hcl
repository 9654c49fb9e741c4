variable "ami_block_device_mappings" {
  type    = list(map(string))
  default = []
}

variable "ami_name_prefix" {
  type    = string
  default = "custom-node"
}

variable "ami_regions" {
  type    = list(string)
  default = []
}

variable "assume_role" {
  type    = map(string)
  default = {}
}

variable "base_parameter" {
  type    = string
  default = "/aws/service/debian/release/12/latest/amd64"
}

variable "encrypt_boot" {
  type    = bool
  default = null
}

variable "flavour" {
  type    = string
  default = "cpu"
}

variable "instance_type" {
  type    = string
  default = "t3.large"
}

variable "launch_block_device_mappings" {
  type    = list(map(string))
  default = []
}

variable "region" {
  type    = string
  default = "us-west-2"
}

variable "run_tags" {
  type    = map(string)
  default = {}
}

variable "shell_provisioners" {
  type    = any
  default = []
}

variable "tags" {
  type    = map(string)
  default = {}
}
