variable "name" {
  description = "Beginning of the names of the roles."
  type        = string
}

variable "repository" {
  description = "The repository, acme/web."
  type        = string
}

variable "subject" {
  description = "The repository in the subject of its tokens, where it has numbers: repo:acme@1234/web@5678."
  type        = string
  default     = null
}

variable "repository_id" {
  description = "Its number, which stays when the name is given to another repository."
  type        = string

  validation {
    condition     = can(regex("^\\d+$", var.repository_id))
    error_message = "A number: gh api repos/acme/web --jq .id"
  }
}

variable "branch" {
  description = "The branch whose jobs deploy. GitHub lets every branch name an environment, unless the environment names its branches."
  type        = string
  default     = "main"

  validation {
    condition     = can(regex("^[^*?]+$", var.branch))
    error_message = "One branch, no pattern."
  }
}

variable "release_tags" {
  description = "Tags whose jobs deploy as well, such as v*. Everybody who may push one deploys, so protect these tags by a ruleset."
  type        = string
  default     = ""
}

variable "workflow" {
  description = "Only jobs of this workflow, such as org/ami-action/.github/workflows/ami-pipeline.yml@*."
  type        = string
  default     = ""
}

variable "environment" {
  description = "The environment, on GitHub and in the pointer."
  type        = string

  validation {
    condition     = can(regex("^[\\w-]+$", var.environment))
    error_message = "Letters, digits, _ and -."
  }
}

variable "families" {
  description = "The families of images that run there."
  type        = list(string)
}

variable "pointers" {
  description = "Beginnings of the pointers, /ami/web for /ami/web/prod."
  type        = list(string)
}

variable "groups" {
  description = "Names of the Auto Scaling groups; web-prod* also fits the second group of a blue-green rollout."
  type        = list(string)
}

variable "launch_templates" {
  description = "IDs of the launch templates of these groups."
  type        = list(string)
}

variable "node_groups" {
  description = "Managed node groups of EKS, as cluster/nodegroup."
  type        = list(string)
  default     = []
}

variable "launch_configurations" {
  description = "The setting launch-configurations is convert or keep. Allow it for as long as these groups have launch configurations."
  type        = bool
  default     = false
}

variable "group_roles" {
  description = "ARNs of the roles that the instances of these groups have. Empty, they have none."
  type        = list(string)
  default     = []
}

variable "hook_roles" {
  description = "ARNs of roles that lifecycle hooks of these groups name, for blue-green rollouts."
  type        = list(string)
  default     = []
}

variable "listeners" {
  description = "ARNs of the listeners and listener rules that the setting shift-at names."
  type        = list(string)
  default     = []
}

variable "stacks" {
  description = "Names of the stacks that the setting stack names. Each has a service role, which CloudFormation uses for its resources."
  type        = list(string)
  default     = []
}

variable "hosted_zones" {
  description = "ARNs of the Route 53 hosted zones with the records that shift-at names, arn:aws:route53:::hostedzone/Z0123456789ABC."
  type        = list(string)
  default     = []
}

variable "verdict_key" {
  description = "ARN of the KMS key of the setting verdict-key."
  type        = string
  default     = ""
}

variable "other_roles" {
  description = "ARNs of roles in other accounts, as from-role names them."
  type        = list(string)
  default     = []
}

variable "delivery_role" {
  description = "ARN of the role for images in the delivery account, which tags and copies shared images here."
  type        = string
  default     = ""
}

variable "create_provider" {
  description = "An account has one OIDC provider for GitHub. The module delivery-role creates it."
  type        = bool
  default     = false
}
