source "null" "other-14" {
  communicator = "none"
}

build {
  sources = ["source.null.other-14"]

  post-processor "shell-local" {
    inline = ["echo 14"]
  }
}
