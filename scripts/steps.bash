# Runs commands as steps. Each step prints a line: its name, its time and, while it takes long, a bar with counts. Sourced, not run.
# A command reports its progress by printing lines like "[3/10] build runc ...": three of ten are done.
# shellcheck shell=bash disable=SC2034,SC2154 # place.bash sets the variables, and those who source it use some

step_logs=$kept/logs
step_process=
mkdir -p "$step_logs"
end_step() { [[ -z $step_process ]] || kill -- "-$step_process" 2>/dev/null; }
trap end_step EXIT

milliseconds() { printf '%s' "$(($(date +%s%N) / 1000000))"; }
began_at=$(milliseconds)

# elapsed SINCE: prints the time since then, like "0.4 s", "42 s" or "3 min 20 s".
elapsed() {
	local ms=$(($(milliseconds) - $1))
	if ((ms < 10000)); then
		printf '%d.%d s' $((ms / 1000)) $((ms % 1000 / 100))
	elif ((ms < 120000)); then
		printf '%d s' $((ms / 1000))
	else
		printf '%d min %d s' $((ms / 60000)) $((ms / 1000 % 60))
	fi
}

# progress LOG: prints counts, a bar and what is going on, from the last line in the log that reports progress.
progress() {
	local line bar='##########' rest='..........'
	line=$(grep -aoE '^\[[0-9]+/[0-9]+\].*' "$1" | tail -n 1) || true
	if [[ $line =~ ^\[([0-9]+)/([0-9]+)\]\ ?(.*)$ ]] && ((BASH_REMATCH[2] > 1)); then
		printf '%d/%d [%s%s] %s' "${BASH_REMATCH[1]}" "${BASH_REMATCH[2]}" \
			"${bar:0:10*BASH_REMATCH[1]/BASH_REMATCH[2]}" "${rest:10*BASH_REMATCH[1]/BASH_REMATCH[2]}" "${BASH_REMATCH[3]% ...}"
	fi
}

# line_of WHAT ELAPSED PROGRESS: prints what of them fits into a line of the terminal; a longer one could not be written over.
line_of() {
	local columns=$((${COLUMNS:-0} > 0 ? COLUMNS : 100)) form='  ..  %-34s %10s  %s' line
	((columns >= 80)) || form='  ..  %s %s  %s'
	# shellcheck disable=SC2059 # the form is one of these two
	printf -v line "$form" "$@"
	printf '%s' "${line:0:columns-1}"
}

# step WHAT COMMAND...: runs the command with its output in a log. If it fails, shows why and stops the script.
step() { try_step "$@" || exit; }

# packages --no-cluster|--with-cluster: runs scripts/packages as the first step of a script. Scripts that this script calls skip it.
packages() {
	[[ -n ${HAVE_PACKAGES:-} ]] || step "packages" scripts/packages "$@"
	export HAVE_PACKAGES=yes
}

# try_step WHAT COMMAND...: like step, but returns the exit status instead of stopping the script.
try_step() {
	local what=$1 log=$step_logs/${1//[^a-z0-9]/-}.log since shown='' told=0 now
	shift
	since=$(milliseconds)
	set -m # a process group of its own, so that all of it can be ended
	"$@" >"$log" 2>&1 </dev/null &
	step_process=$!
	set +m
	while kill -0 "$step_process" 2>/dev/null && [[ $(started_at "$step_process") ]]; do
		sleep 0.1
		(($(milliseconds) - since > 1000)) || continue
		now=$(progress "$log")
		if [[ -t 1 ]]; then
			printf '\r\e[K%s' "$(line_of "$what" "$(elapsed "$since")" "$now")"
		elif [[ $now != "$shown" ]] && (($(milliseconds) - since > 10000)) || (($(milliseconds) - since > told + 60000)); then
			printf '  ..  %-34s %10s  %s\n' "$what" "$(elapsed "$since")" "$now"
			shown=$now told=$(($(milliseconds) - since))
		fi
	done
	[[ ! -t 1 ]] || printf '\r\e[K'
	if wait "$step_process"; then
		step_process=
		printf '  ok  %-34s %10s  %s\n' "$what" "$(elapsed "$since")" "$(sed -n 's/^note: //p' "$log" | tail -n 1)"
	else
		tell_failure "$what" "$since" "$log" $?
	fi
}

tell_failure() { # tell_failure WHAT SINCE LOG STATUS
	step_process=
	printf ' FAIL %-34s %10s\n' "$1" "$(elapsed "$2")"
	if grep -aqi 'no space left on device' "$3"; then
		say "error: the disk is full: $(df -Ph "$kept" "$CLUSTER_CACHE" | awk 'NR > 1 { print $4 " free in " $6 }' | sort -u | paste -sd, | sed 's/,/, /g'); make room and start again"
	elif grep -aq '^error: ' "$3"; then
		grep -a '^error: ' "$3" | tail -n 1
	else
		tail -n 25 "$3"
		say "error: '$1' failed; all of its output is in $3"
	fi >&2
	return "$4"
}
