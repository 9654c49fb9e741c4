# Runs the Exec lines of a unit that unit_load has read. Each line of an exec_* function calls `step`.

as_service() {
  set -f
  [ -z "$U_EnvironmentFile" ] || for source in $U_EnvironmentFile; do
    case $source in
      -*) [ ! -r "${source#-}" ] || environment_file "${source#-}" ;;
      *) environment_file "$source" || exit 200 ;;
    esac
  done
  eval "set -- $U_Environment"
  for pair in "$@"; do export "$pair"; done
  cd "${U_WorkingDirectory:-/}" || exit 200
}

environment_file() {
  while IFS= read -r pair || [ -n "$pair" ]; do
    case $pair in
      '' | '#'* | ';'*) continue ;;
      *=\"*\") pair=${pair%%=*}=$(echo "${pair#*=}" | sed 's/^"//; s/"$//') ;;
      *=\'*\') pair=${pair%%=*}=$(echo "${pair#*=}" | sed "s/^'//; s/'\$//") ;;
    esac
    case $pair in
      [A-Za-z_]*=*) export "$pair" ;;
    esac
  done <"$1"
}

# Replaces this shell with the command, as the service's user, in its own process group.
become() {
  command -v "$1" >/dev/null || {
    echo "Failed to locate executable $1: No such file or directory"
    exit 203
  }
  # A guest of a host user without root has one user ID: root.
  read -r _ _ ids </proc/self/uid_map
  if [ -n "$U_User" ] && [ "$U_User" != root ] && [ "$ids" != 1 ]; then
    user=$(getent passwd "$U_User") || exit 217
    IFS=:
    set -- $user -- "$@"
    IFS=' '
    uid=$3 gid=$4 home=$6
    while [ "$1" != -- ]; do shift; done
    shift
    export HOME="$home" USER="$U_User" LOGNAME="$U_User"
    exec setsid setpriv --reuid "$uid" --regid "$gid" --clear-groups -- "$@"
  fi
  exec setsid "$@"
}

# step <may-fail> <words>: runs one Exec line. With `main` set, the line replaces the shell.
step() {
  may_fail=$1
  shift
  [ -z "$main" ] || become "$@"
  (become "$@")
  status=$?
  [ "$status" = 0 ] || [ "$may_fail" = 1 ] || return "$status"
}

# steps <Key>: runs all lines of one Exec key in order; `status` is that of the failed one.
steps() {
  status=0
  eval "[ -n \"\$U_$1\" ]" || return 0
  (
    as_service
    main=
    exec_"$1"
  ) >>"$journal/$loaded.log" 2>&1
  status=$?
  return "$status"
}
