source "null" "other-07" {
  communicator = "none"
}

build {
  sources = ["source.null.other-07"]

  post-processor "shell-local" {
    inline = ["echo 7"]
  }
}
