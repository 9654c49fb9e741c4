variable "aws_region" {
  type    = string
  default = "us-east-1"
}

variable "os_ver" {
  type    = string
  default = "9.4"
}

variable "headless" {
  type    = bool
  default = true
}
