source "null" "other-13" {
  communicator = "none"
}

build {
  sources = ["source.null.other-13"]

  post-processor "shell-local" {
    inline = ["echo 13"]
  }
}
