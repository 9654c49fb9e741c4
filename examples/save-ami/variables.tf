variable "app" {
  description = "The application: the family of its images."
  type        = string
}

variable "environment" {
  type = string
}

variable "subnet_ids" {
  type = list(string)
}

variable "use_custom_ami" {
  description = "false starts every instance from Debian, with the whole set-up."
  type        = bool
  default     = true
}

variable "min_size" {
  type    = number
  default = 1
}

variable "max_size" {
  type    = number
  default = 5
}

variable "instances" {
  description = "Number of regular instances, which are in no Auto Scaling group."
  type        = number
  default     = 0
}

variable "instance_type" {
  type    = string
  default = "t3.micro"
}

variable "set_up" {
  description = "Commands that install everything but the application: download the Ansible roles and run the playbook."
  type        = string
  default     = "true"
}

variable "deploy" {
  description = "Commands that fetch the release of the application and start it, at each first boot."
  type        = string
  default     = "true"
}

variable "debian" {
  description = "Name of the base image. Its nodejs must be 20 or newer."
  type        = string
  default     = "debian-13-amd64-*"
}
