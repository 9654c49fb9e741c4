#!/bin/sh
# Saves this instance as an image of its family. The last step of its set-up: it returns at once, and the instance keeps running.
#   save-ami.sh         starts the image, and a unit that finishes it
#   save-ami.sh finish  waits for the image, validates it, moves the pointer, keeps the last 3 images
# Settings: ami.yml next to ami-action.mjs. Log: journalctl --unit save-ami. To continue after a failure: save-ami.sh finish
set -eu
cd "${AMI_ACTION_HOME:-/opt/ami-action}"
ami() { node ami-action.mjs "$@" --config ami.yml --allow-instance-role; }

if [ "${1:-}" = finish ]; then
  # Found by its instance. "rebuild" in ami.yml takes the image of the last day, so a second call makes no second image.
  built=$(ami build --from-instance self --json)
  image=$(printf '%s' "$built" | sed 's/.*"ami-id":"\(ami-[0-9a-f]*\)".*/\1/')
  ami validate --image "$image"
  ami promote --image "$image" --strategy none
  ami prune --no-dry-run
else
  ami build --from-instance self --no-wait
  systemd-run --unit=save-ami --collect --setenv=HOME=/root --setenv=AMI_ACTION_HOME="$PWD" "$PWD/save-ami.sh" finish
fi
