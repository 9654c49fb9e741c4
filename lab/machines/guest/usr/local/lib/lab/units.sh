# Paths, states and parsing of units. Sourced by systemctl, supervise, init and power.

unit_dirs='/etc/systemd/system /run/systemd/system /usr/local/lib/systemd/system'
states=/run/systemd/units
journal=/var/log/journal
lab=/run/lab

# `web` means `web.service`.
unit_name() {
  case $1 in
    *.service | *.target | *.timer | *.socket | *.mount | *.path | *.slice) name=$1 ;;
    *) name=$1.service ;;
  esac
}

# Sets `file` to the unit's file (a template's for an instance of it), empty when there is none.
unit_file() {
  file=
  case $1 in
    ?*@?*.*) set -- "$1" "${1%%@*}@.${1##*.}" ;;
  esac
  for candidate in "$@"; do
    for dir in $unit_dirs; do
      [ -e "$dir/$candidate" ] || [ -L "$dir/$candidate" ] || continue
      file=$dir/$candidate
      return 0
    done
  done
  return 1
}

unit_masked() {
  [ -L "$file" ] && [ "$(readlink "$file")" = /dev/null ]
}

# Reads a unit into U_* variables and exec_* functions, and clears those of the unit before.
unit_load() {
  unset U_Description U_Type U_Restart U_RestartSec U_RemainAfterExit U_User U_WorkingDirectory U_Environment U_EnvironmentFile \
    U_ExecStartPre U_ExecStart U_ExecStartPost U_ExecStop U_ExecStopPost U_ExecReload U_After U_Requires U_BindsTo U_Wants \
    U_WantedBy U_RequiredBy U_Alias U_KillMode U_KillSignal U_TimeoutStopSec U_SuccessExitStatus U_ConditionPathExists \
    U_StartLimitBurst U_StartLimitIntervalSec U_StartLimitInterval U_StandardError
  unit_file "$1" || return 1
  set -- "$1" "$file"
  for dir in $unit_dirs; do
    for extra in "$dir/$1.d"/*.conf; do
      [ ! -f "$extra" ] || set -- "$@" "$extra"
    done
  done
  loaded=$1
  shift
  eval "$(awk -v name="$loaded" -f /usr/local/lib/lab/unit.awk "$@")"
}

# State has one line per change, and the last one counts: appending is atomic, and replacing a file costs a process.
state_write() {
  [ -d "$states" ] || mkdir -p "$states"
  echo "$2 $3 $4 $5 $6 $7" >>"$states/$1"
}

state_read() {
  ActiveState=inactive SubState=dead Result=success MainPID=0 ExecMainStatus=0 NRestarts=0
  [ -f "$states/$1" ] || return 0
  while read -r a b c d e f; do
    ActiveState=$a SubState=$b Result=$c MainPID=$d ExecMainStatus=$e NRestarts=$f
  done <"$states/$1"
}

console() {
  { echo "$1" >/dev/console; } 2>/dev/null
}

# Messages of the manager about a unit, in the unit's journal. Errors also go to the file that `journalctl -p err` reads.
unit_log() {
  echo "systemd[1]: $2" >>"$journal/$1.log"
}

unit_error() {
  unit_log "$1" "$2"
  echo "systemd[1]: $2" >>"$journal/.errors"
}

# Lab time: `nap 90000` takes 1.5 seconds at speed 60.
nap() {
  read -r thousandths <"$lab/speed"
  real=$(($1 * 1000 / thousandths))
  sleep "$((real / 1000)).$(printf %03d "$((real % 1000))")"
}
