# How programs on this machine reach the server that scripts/install put into the cluster. Sourced, not run.
# shellcheck shell=bash disable=SC2154 # place.bash sets the variables

server_port=8080
forward=$kept/forward # of the port-forward that is kept: process id, its start time, port, context

# open_server: waits until the server can be reached from here. The embedded cluster's node is this machine, which reaches a Service at its
# own address. For another cluster it starts a port-forward that keeps running, and that is made again when the server's Pod is replaced.
open_server() {
	local address
	[[ -z ${CONTEXT:-} ]] || keep_forward
	address=$(server_url) && address=${address#http://}
	ask_directly 127.0.0.1 localhost "$node_ip" "${address%:*}"
	for _ in {1..300}; do
		! (: <"/dev/tcp/${address%:*}/${address#*:}") 2>/dev/null || return 0
		sleep 0.1
	done
	fail "the server at $address does not answer; see kubectl -n $namespace logs statefulset/agent-job-server${CONTEXT:+, and $kept/forward.log}"
}

# ask_directly HOST...: programs that are started from here ask these without a proxy, which would see the tokens. Of the two variables most
# programs read only one, the lower-case one first, so both get the same.
ask_directly() {
	local all=${no_proxy:-${NO_PROXY:-}} host
	for host; do [[ $all == "*" || ,$all, == *,"$host",* ]] || all+=${all:+,}$host; done
	export NO_PROXY=$all no_proxy=$all
}

keep_forward() {
	local id at port context
	if [[ -f $forward ]] && read -r id at port context <"$forward" && [[ $(started_at "$id") == "$at" && $context == "$CONTEXT" ]]; then return; fi
	close_server
	port=$(free_port)
	# shellcheck disable=SC2016 # expanded by that shell
	setsid bash -c 'while :; do kubectl -n "$0" port-forward service/agent-job-server "$1:$2"; sleep 1; done' \
		"$namespace" "$port" "$server_port" >"$kept/forward.log" 2>&1 </dev/null &
	printf '%s %s %s %s\n' "$!" "$(started_at "$!")" "$port" "$CONTEXT" >"$forward"
}

close_server() {
	local id at
	[[ -f $forward ]] || return 0
	read -r id at _ <"$forward"
	[[ $(started_at "$id") != "$at" ]] || kill -- "-$id" # it leads a process group
	rm -f "$forward"
}

free_port() {
	local port
	for port in {8080..8180}; do
		(: <"/dev/tcp/127.0.0.1/$port") 2>/dev/null || { printf '%s' "$port" && return; }
	done
	fail "no free port from 8080 to 8180"
}

server_url() {
	local id at port
	if [[ -z ${CONTEXT:-} ]]; then
		printf 'http://%s:%s' "$(kubectl -n "$namespace" get service agent-job-server -o 'jsonpath={.spec.clusterIP}')" "$server_port"
	else
		read -r id at port _ <"$forward"
		printf 'http://127.0.0.1:%s' "$port"
	fi
}

user_token() { kubectl -n "$namespace" get secret agent-job-user-token -o 'jsonpath={.data.token}' | base64 -d; }
