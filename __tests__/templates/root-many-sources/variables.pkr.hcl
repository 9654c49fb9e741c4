variable "release" {
  type = string
}

variable "agent_version" {
  type = string
}

variable "region" {
  type = string
}

variable "run_tags" {
  type    = map(string)
  default = {}
}

variable "block_device_size_gb" {
  type    = number
  default = 8
}
