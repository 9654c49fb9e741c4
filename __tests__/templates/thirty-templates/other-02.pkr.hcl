source "null" "other-02" {
  communicator = "none"
}

build {
  sources = ["source.null.other-02"]

  post-processor "shell-local" {
    inline = ["echo 2"]
  }
}
