# Units that start at boot: links that enable and disable create and remove.

link_into() {
  [ -d "${2%/*}" ] || mkdir -p "${2%/*}"
  [ "$(readlink "$2")" = "$1" ] || {
    ln -sfn "$1" "$2"
    echo "Created symlink $2 → $1." >&2
  }
}

unit_enable() (
  unit_name "$1"
  unit_file "$name" || {
    echo "Failed to enable unit: Unit file $name does not exist." >&2
    exit 1
  }
  ! unit_masked || {
    echo "Failed to enable unit: Unit file $file is masked." >&2
    exit 1
  }
  unit_load "$name"
  [ -n "$U_WantedBy$U_RequiredBy$U_Alias" ] || {
    echo "The unit files have no installation config (WantedBy=, RequiredBy=, Also=, Alias= settings in the [Install] section)." >&2
    exit 0
  }
  for target in $U_WantedBy; do link_into "$file" "/etc/systemd/system/$target.wants/$name"; done
  for target in $U_RequiredBy; do link_into "$file" "/etc/systemd/system/$target.requires/$name"; done
  for other in $U_Alias; do link_into "$file" "/etc/systemd/system/$other"; done
)

unit_disable() (
  unit_name "$1"
  unit_file "$name" || {
    echo "Failed to disable unit: Unit file $name does not exist." >&2
    exit 1
  }
  for link in /etc/systemd/system/*.wants/"$name" /etc/systemd/system/*.requires/"$name"; do
    [ -L "$link" ] || continue
    rm -f "$link"
    echo "Removed \"$link\"." >&2
  done
)

unit_mask() (
  unit_name "$1"
  [ ! -f "/etc/systemd/system/$name" ] || [ -L "/etc/systemd/system/$name" ] || {
    echo "Failed to mask unit: File /etc/systemd/system/$name already exists." >&2
    exit 1
  }
  link_into /dev/null "/etc/systemd/system/$name"
)

unit_unmask() (
  unit_name "$1"
  [ "$(readlink "/etc/systemd/system/$name")" != /dev/null ] || rm -f "/etc/systemd/system/$name"
)

# Sets `enablement`, as is-enabled prints it.
unit_enablement() {
  unit_file "$1" || {
    enablement=
    return 1
  }
  enablement=masked
  ! unit_masked || return 1
  enablement=enabled
  for link in /etc/systemd/system/*.wants/"$1" /etc/systemd/system/*.requires/"$1"; do
    [ ! -L "$link" ] || return 0
  done
  grep -qE '^(WantedBy|RequiredBy|Alias|Also)=' "$file" && enablement=disabled || enablement=static
  [ "$enablement" = static ]
}
