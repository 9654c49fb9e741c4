# Starts and stops units. Each runs in a subshell, because the variables of unit_load belong to one unit.
. /usr/local/lib/lab/run.sh

complain() {
  echo "$1" >&2
}

unit_start() (
  unit_name "$1"
  case $name in
    *.service) ;;
    *) exit 0 ;;
  esac
  # Two units may require each other.
  case " $underway " in *" $name "*) exit 0 ;; esac
  underway="$underway $name"
  state_read "$name"
  [ "$SubState" != auto-restart ] || {
    end_pause
    state_read "$name"
  }
  case $ActiveState in active | activating) exit 0 ;; esac
  unit_file "$name" || {
    complain "Failed to start $name: Unit $name not found."
    exit 5
  }
  unit_masked && {
    complain "Failed to start $name: Unit $name is masked."
    exit 1
  }
  unit_load "$name"
  [ -n "$U_ExecStart" ] || {
    complain "Failed to start $name: Unit $name has a bad unit file setting."
    unit_error "$name" "$name: Service has no ExecStart= setting. Refusing."
    exit 1
  }
  conditions_met || exit 0
  rm -f "$states/.stop-$name"
  start_needed || exit 1
  case ${U_Type:-simple} in
    oneshot) start_oneshot ;;
    simple | exec | notify | idle) start_simple ;;
    *)
      complain "Failed to start $name: the lab knows Type=simple, exec, notify, idle and oneshot, not $U_Type."
      state_write "$name" failed failed resources 0 0 0
      exit 1
      ;;
  esac
)

conditions_met() {
  met=yes
  for path in $U_ConditionPathExists; do
    case $path in
      '!'*) [ ! -e "${path#!}" ] || met=no ;;
      *) [ -e "$path" ] || met=no ;;
    esac
    [ "$met" != no ] || {
      unit_log "$name" "$name was skipped because of an unmet condition check (ConditionPathExists=$path)."
      return 1
    }
  done
}

start_needed() {
  for other in $U_Requires $U_BindsTo; do
    unit_start "$other" || {
      complain "A dependency job for $name failed. See 'journalctl -xe' for details."
      return 1
    }
  done
  for other in $U_Wants; do
    (unit_file "$other") && unit_start "$other"
  done
  # Ordering applies only to units that the boot starts anyway.
  for other in $U_After; do
    case " $booting " in *" $other "*) unit_start "$other" ;; esac
  done
  return 0
}

start_failed() {
  complain "Job for $name failed because the control process exited with error code."
  complain "See \"systemctl status $name\" and \"journalctl -xeu $name\" for details."
  exit 1
}

# The boot waits for the unit, and reports it on the console when that takes long.
say_waiting() {
  nap 5000
  read -r phase <"$lab/phase"
  [ "$phase" != starting ] || console "[ ***  ] A start job is running for $name${U_Description:+ - $U_Description} (5s / no limit)"
}

start_oneshot() {
  state_write "$name" activating start success 0 0 0
  say_waiting &
  waiting=$!
  steps ExecStartPre && steps ExecStart && steps ExecStartPost && done=yes || done=
  kill "$waiting" 2>/dev/null
  if [ "$done" = yes ]; then
    unit_log "$name" "Finished $name - ${U_Description:-$name}."
    console "[  OK  ] Finished $name - ${U_Description:-$name}."
    case $U_RemainAfterExit in
      yes | true | 1 | on) state_write "$name" active exited success 0 0 0 ;;
      *) state_write "$name" inactive dead success 0 0 0 ;;
    esac
    return 0
  fi
  state_write "$name" failed failed exit-code 0 "$status" 0
  unit_error "$name" "$name: Failed with result 'exit-code', status=$status."
  console "[FAILED] Failed to start $name - ${U_Description:-$name}."
  start_failed
}

# The substitution ends when the supervisor closes descriptor 3: the service runs or has failed.
start_simple() {
  answer=$(setsid /usr/local/lib/lab/supervise "$name" 3>&1 >>"$journal/$name.log" 2>&1 </dev/null &)
  [ "$answer" = started ] || start_failed
}

unit_stop() (
  unit_name "$1"
  state_read "$name"
  case $name in
    *.timer)
      [ "$MainPID" = 0 ] || kill -TERM "-$MainPID" 2>/dev/null
      state_write "$name" inactive dead success 0 0 0
      exit 0
      ;;
  esac
  case $ActiveState in
    inactive | failed)
      unit_file "$name" || [ -e "$states/$name" ] || {
        complain "Failed to stop $name: Unit $name not loaded."
        exit 5
      }
      exit 0
      ;;
  esac
  : >"$states/.stop-$name"
  unit_load "$name"
  MAINPID=$MainPID
  export MAINPID
  steps ExecStop
  [ "$SubState" != exited ] || {
    steps ExecStopPost
    state_write "$name" inactive dead success 0 0 0
    exit 0
  }
  [ "$SubState" != auto-restart ] || end_pause
  signal_main "${U_KillSignal:-TERM}"
  await_end
)

# A unit that waits for its next restart has only the process of its supervisor.
end_pause() {
  read -r supervisor <"$states/.supervisor-$name"
  kill -KILL "-$supervisor" 2>/dev/null
  state_read "$name"
  [ "$MainPID" != 0 ] || state_write "$name" inactive dead success 0 "$ExecMainStatus" "$NRestarts"
}

signal_main() {
  [ "$MainPID" = 0 ] || kill "-${1#SIG}" "-$MainPID" 2>/dev/null
}

# Waits until the supervisor has recorded the end. A process that ignores the signal is killed after TimeoutStopSec (lab time).
await_end() {
  read -r thousandths <"$lab/speed"
  rounds=$((${U_TimeoutStopSec:-90000} * 50 / thousandths + 10))
  while state_read "$name"; do
    case $ActiveState in inactive | failed) return 0 ;; esac
    rounds=$((rounds - 1))
    [ "$rounds" != 0 ] || signal_main KILL
    [ "$rounds" -gt -100 ] || return 1
    sleep 0.02
  done
}

unit_reload() (
  unit_name "$1"
  state_read "$name"
  unit_load "$name" || exit 5
  [ -n "$U_ExecReload" ] || {
    complain "Failed to reload $name: Job type reload is not applicable for unit $name."
    exit 1
  }
  MAINPID=$MainPID
  export MAINPID
  steps ExecReload || start_failed
)

# The units that multi-user.target wants: links in *.wants, in order of their names.
boot_units() {
  for link in /etc/systemd/system/multi-user.target.wants/* /etc/systemd/system/default.target.wants/* \
    /etc/systemd/system/multi-user.target.requires/* /etc/systemd/system/cloud-init.target.wants/*; do
    [ -L "$link" ] || [ -e "$link" ] || continue
    case $link in *.service) echo "${link##*/}" ;; esac
  done
}
