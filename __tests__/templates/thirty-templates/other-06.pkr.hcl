source "null" "other-06" {
  communicator = "none"
}

build {
  sources = ["source.null.other-06"]

  post-processor "shell-local" {
    inline = ["echo 6"]
  }
}
