variable "name" {
  description = "Beginning of the names of the roles and of the instance profile."
  type        = string
}

variable "repository" {
  description = "The repository, acme/web. What the action creates has it in the tag ami-action:repository."
  type        = string

  validation {
    condition     = can(regex("^[^/*?]+/[^/*?]+$", var.repository))
    error_message = "OWNER/REPOSITORY"
  }
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
  description = "The branch whose jobs build, validate and prune."
  type        = string
  default     = "main"

  validation {
    condition     = can(regex("^[^*?]+$", var.branch))
    error_message = "One branch, no pattern."
  }
}

variable "release_tags" {
  description = "Tags whose jobs have the same rights, such as v*. Everybody who may push one has them, so protect these tags by a ruleset."
  type        = string
  default     = ""
}

variable "workflow" {
  description = "Only jobs of this workflow, such as org/ami-action/.github/workflows/ami-pipeline.yml@*."
  type        = string
  default     = ""
}

variable "families" {
  description = "The families of images that this repository delivers."
  type        = list(string)
}

variable "launch_templates" {
  description = "IDs of launch templates whose unused versions prune may delete."
  type        = list(string)
  default     = []
}

variable "keys" {
  description = "ARNs of the KMS keys that encrypt the images. Not needed for the AWS managed key."
  type        = list(string)
  default     = []
}

variable "adopt" {
  description = "Mode adopt takes images without a family into one, after which this role may remove them. Allow it for as long as you adopt."
  type        = bool
  default     = false
}

variable "packer_copies" {
  description = "Packer copies images to other regions itself, and tags their snapshots only afterwards. To allow it lets this role take, and so remove, every snapshot that has no ami-action:repository. Mode share needs it not."
  type        = bool
  default     = false
}

variable "verdict_key" {
  description = "ARN of the KMS key of the setting verdict-key."
  type        = string
  default     = ""
}

variable "consumer_accounts" {
  description = "Accounts that snapshots may be shared with. Without any, sharing is denied. IAM has no condition for the accounts that get an image."
  type        = list(string)
  default     = []
}

variable "other_roles" {
  description = "ARNs of roles in other accounts, as from-role and target-role name them."
  type        = list(string)
  default     = []
}

variable "readers" {
  description = "ARNs of roles in other accounts that read here, with from-role."
  type        = list(string)
  default     = []
}

variable "pull_requests" {
  description = "What jobs of pull requests of this repository may do: none, read, or build. build lets the code of a branch use the role for images, in the GitHub environment pull-request."
  type        = string
  default     = "none"
  validation {
    condition     = contains(["none", "read", "build"], var.pull_requests)
    error_message = "Must be none, read or build."
  }
}

variable "stacks" {
  description = "Names of the stacks that the setting stack names, for the preview of pull requests."
  type        = list(string)
  default     = []
}

variable "create_provider" {
  description = "An account has one OIDC provider for GitHub. Set false where it exists."
  type        = bool
  default     = true
}
