source "null" "other-09" {
  communicator = "none"
}

build {
  sources = ["source.null.other-09"]

  post-processor "shell-local" {
    inline = ["echo 9"]
  }
}
