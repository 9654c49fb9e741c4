source "null" "other-03" {
  communicator = "none"
}

build {
  sources = ["source.null.other-03"]

  post-processor "shell-local" {
    inline = ["echo 3"]
  }
}
