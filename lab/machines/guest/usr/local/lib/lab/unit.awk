# Turns unit files into shell: U_<Key> variables, and a function exec_<Key> of `step <may-fail> <words>` lines for each Exec key.
# usage: awk -v name=web@1.service -f unit.awk web@.service drop-in.conf ...

function milliseconds(text,    total, number, unit) {
  if (text == "infinity") return -1
  if (text ~ /^[0-9]+$/) return text * 1000
  total = 0
  while (match(text, /^[ ]*[0-9.]+[ ]*[a-z]+/)) {
    unit = substr(text, RSTART, RLENGTH)
    text = substr(text, RSTART + RLENGTH)
    number = unit + 0
    gsub(/[0-9. ]/, "", unit)
    if (unit == "ms" || unit == "msec") total += number
    else if (unit ~ /^s/) total += number * 1000
    else if (unit ~ /^m/) total += number * 60000
    else if (unit ~ /^h/) total += number * 3600000
    else if (unit ~ /^d/) total += number * 86400000
  }
  return int(total)
}

function quoted(text,    out, at) {
  while ((at = index(text, "'")) > 0) {
    out = out substr(text, 1, at - 1) "'\\''"
    text = substr(text, at + 1)
  }
  return "'" out text "'"
}

# A word as systemd passes it: $NAME alone is split, ${NAME} anywhere is one word, everything else is literal.
function as_shell(word,    out) {
  if (word ~ /^\$[A-Za-z_][A-Za-z0-9_]*$/) return word
  while (match(word, /\$\$|\$\{[A-Za-z_][A-Za-z0-9_]*\}/)) {
    if (RSTART > 1) out = out quoted(substr(word, 1, RSTART - 1))
    if (RLENGTH == 2) out = out "'$'"
    else out = out "\"" substr(word, RSTART, RLENGTH - 1) "-}\""
    word = substr(word, RSTART + RLENGTH)
  }
  if (word != "" || out == "") out = out quoted(word)
  return out
}

function words(line,    out, word, mark, char, open, i) {
  word = ""; mark = ""; open = 0; out = ""
  for (i = 1; i <= length(line); i++) {
    char = substr(line, i, 1)
    if (char == "\\") {
      char = substr(line, ++i, 1)
      if (char == "n") char = "\n"
      else if (char == "t") char = "\t"
      else if (char == "s") char = " "
      else if (char !~ /[\\"' ;$]/) char = "\\" char
      word = word char; open = 1
    } else if (mark != "") {
      if (char == mark) mark = ""
      else word = word char
    } else if (char == "\"" || char == "'") { mark = char; open = 1 }
    else if (char == " " || char == "\t") {
      if (open) out = out " " as_shell(word)
      word = ""; open = 0
    } else { word = word char; open = 1 }
  }
  if (open) out = out " " as_shell(word)
  return out
}

function specifiers(text,    stem, prefix, instance) {
  stem = name; sub(/\.[a-z]+$/, "", stem)
  prefix = stem; sub(/@.*/, "", prefix)
  instance = stem; if (!sub(/^[^@]*@/, "", instance)) instance = ""
  gsub(/%n/, name, text); gsub(/%N/, stem, text); gsub(/%p/, prefix, text); gsub(/%[iI]/, instance, text)
  gsub(/%t/, "/run", text); gsub(/%S/, "/var/lib", text); gsub(/%L/, "/var/log", text); gsub(/%%/, "%", text)
  return text
}

function take(key, value,    may_fail) {
  value = specifiers(value)
  if (key ~ /^Exec/) {
    if (value == "") { delete commands[key]; return }
    may_fail = 0
    while (value ~ /^[-@:+!]/) {
      if (value ~ /^-/) may_fail = 1
      value = substr(value, 2)
    }
    commands[key] = commands[key] "step " may_fail words(value) " || return\n"
  } else if (key == "Environment") {
    if (value == "") values[key] = ""
    else values[key] = values[key] words(value)
  } else if (key ~ /^(After|Requires|Wants|BindsTo|WantedBy|RequiredBy|Alias|EnvironmentFile|SuccessExitStatus|ConditionPathExists)$/) {
    values[key] = value == "" ? "" : values[key] (values[key] == "" ? "" : " ") value
  } else if (key ~ /(Sec|Interval)$/) values[key] = milliseconds(value)
  else values[key] = value
}

{ sub(/\r$/, "") }
pending == "" && /^[ \t]*([#;].*)?$/ { next }
pending != "" && /^[ \t]*[#;]/ { next }
/\\$/ { pending = pending substr($0, 1, length($0) - 1) " "; next }
{
  line = pending $0; pending = ""
  at = index(line, "=")
  if (line ~ /^\[/ || at == 0) next
  key = substr(line, 1, at - 1); value = substr(line, at + 1)
  gsub(/^[ \t]+|[ \t]+$/, "", key); gsub(/^[ \t]+|[ \t]+$/, "", value)
  if (key ~ /^[A-Za-z]+$/) take(key, value)
}

END {
  for (key in values) print "U_" key "=" quoted(values[key])
  for (key in commands) print "exec_" key "() {\n" commands[key] "}\nU_" key "=1"
}
