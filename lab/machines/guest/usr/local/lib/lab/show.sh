# The output of systemctl about units.

known_units() {
  for dir in $unit_dirs; do
    for path in "$dir"/*.service; do
      [ ! -e "$path" ] || case $path in *@.service) ;; *) echo "${path##*/}" ;; esac
    done
  done
  [ ! -d "$states" ] || ls "$states"
}

described() {
  (unit_load "$1" && echo "${U_Description:-$1}" || echo "$1")
}

# list_units <state> <all> <legend>
list_units() {
  count=0
  for unit in $(known_units | sort -u); do
    state_read "$unit"
    [ -z "$1" ] || [ "$ActiveState" = "$1" ] || [ "$SubState" = "$1" ] || continue
    [ -n "$1$2" ] || [ "$ActiveState" != inactive ] || continue
    [ "$count$3" != 0yes ] || echo '  UNIT LOAD ACTIVE SUB DESCRIPTION'
    mark=' '
    [ "$ActiveState" != failed ] || mark='●'
    [ "$3" = yes ] || mark=
    echo "${mark:+$mark }$unit loaded $ActiveState $SubState $(described "$unit")"
    count=$((count + 1))
  done
  [ "$3" != yes ] || echo "$count loaded units listed."
}

list_unit_files() {
  for unit in $(known_units | sort -u); do
    unit_enablement "$unit"
    [ -z "$enablement" ] || echo "$unit $enablement"
  done
}

unit_status() (
  unit_name "$1"
  state_read "$name"
  unit_file "$name" || [ -e "$states/$name" ] || {
    echo "Unit $name could not be found." >&2
    exit 4
  }
  unit_enablement "$name"
  place=${file:-transient}
  mark='○'
  [ "$ActiveState" != active ] || mark='●'
  [ "$ActiveState" != failed ] || mark='×'
  echo "$mark $name - $(described "$name")"
  echo "     Loaded: loaded ($place; ${enablement:-transient})"
  if [ "$ActiveState" = failed ]; then
    echo "     Active: failed (Result: $Result)"
    echo "    Process: (code=exited, status=$ExecMainStatus/FAILURE)"
  else
    echo "     Active: $ActiveState ($SubState)"
  fi
  [ "$MainPID" = 0 ] || echo "   Main PID: $MainPID"
  [ ! -s "$journal/$name.log" ] || { echo && tail -n 10 "$journal/$name.log"; }
  [ "$ActiveState" = active ] || [ "$ActiveState" = activating ] || exit 3
)

# unit_show <name> <properties or nothing> <value only>
unit_show() (
  unit_name "$1"
  state_read "$name"
  LoadState=loaded
  FragmentPath=
  unit_file "$name" && FragmentPath=$file || LoadState=not-found
  [ -z "$file" ] || { unit_masked && LoadState=masked; }
  unit_enablement "$name"
  Id=$name UnitFileState=$enablement
  unit_load "$name"
  Type=${U_Type:-simple} Restart=${U_Restart:-no} Description=${U_Description:-$name} ExecMainPID=$MainPID User=$U_User
  After=$U_After Requires=$U_Requires Wants=$U_Wants
  for property in ${2:-Type Restart NRestarts MainPID ExecMainPID ExecMainStatus Result Id Description LoadState ActiveState SubState \
    FragmentPath UnitFileState User After Requires Wants}; do
    eval "known=\${$property+yes} value=\$$property"
    [ "$known" = yes ] || continue
    [ "$3" = yes ] && echo "$value" || echo "$property=$value"
  done
)

system_state() {
  read -r phase <"$lab/phase"
  [ "$phase" = running ] && [ -n "$(list_units failed '' no)" ] && phase=degraded
  [ ! -e "$lab/power" ] || phase=stopping
  echo "$phase"
}
