variable "ami_name" {
  type = string
}

variable "ami_regions" {
  type    = list(string)
  default = []
}

variable "base_ami_name" {
  type = string
}

variable "base_ami_owner" {
  type = string
}

variable "os" {
  type = string
}

variable "region" {
  type    = string
  default = "us-west-2"
}

variable "skip_create_ami" {
  type    = bool
  default = false
}

variable "ssh_username" {
  type = string
}
