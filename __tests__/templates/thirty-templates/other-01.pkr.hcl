source "null" "other-01" {
  communicator = "none"
}

build {
  sources = ["source.null.other-01"]

  post-processor "shell-local" {
    inline = ["echo 1"]
  }
}
