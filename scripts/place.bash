# Where things are, for every script here: the checkout, what is kept in it, and which cluster is chosen. Sourced, not run.
# The cluster is the embedded one, or with CONTEXT=name the one of that kubeconfig context. Either way KUBECONFIG names a file of ours
# with that one context in it, so the user's kubeconfig is only read, and its current context does not matter.
# shellcheck shell=bash disable=SC2034 # those who source it use the variables

source "$(dirname "${BASH_SOURCE[0]}")/../test/cluster/env.bash"
root=$(cd "$here/../.." && pwd)
kept=$root/.cache # all that the scripts leave in the checkout, beside node_modules and dist
PATH=$root/node_modules/.bin:$PATH
mkdir -p "$kept"

namespace=agent-job
task_namespace=agent-job-tasks

# choose_cluster: sets KUBECONFIG for the cluster of CONTEXT, or for the embedded one.
choose_cluster() {
	if [[ -z ${CONTEXT:-} ]]; then
		export KUBECONFIG=$kubeconfig
		return
	fi
	command -v kubectl >/dev/null || status=2 fail "please install kubectl, which knows how to reach the cluster of context $CONTEXT"
	# In a script that another one called, and after eval "$(make -s env)", KUBECONFIG names our file already. If the file has the context,
	# it stays as it is, because the user's kubeconfig that it was made from is no longer known.
	if [[ ${KUBECONFIG:-} == "$kept/kubeconfig" ]] && kubectl config get-contexts "$CONTEXT" >/dev/null 2>&1; then
		export CONTEXT
		return
	fi
	if [[ ${KUBECONFIG:-} == "$kept/kubeconfig" || ${KUBECONFIG:-} == "$kubeconfig" ]]; then unset KUBECONFIG; fi
	(umask 077 && kubectl config view --raw --minify --flatten --context "$CONTEXT" >"$kept/kubeconfig.new" 2>/dev/null) ||
		status=2 fail "no kubeconfig context named '$CONTEXT'; there are: $(kubectl config get-contexts -o name | paste -sd' ')"
	mv "$kept/kubeconfig.new" "$kept/kubeconfig"
	export CONTEXT KUBECONFIG=$kept/kubeconfig
}

# take_last_context: without CONTEXT, sets it to that of the cluster that `make run` used last.
take_last_context() {
	if [[ -z ${CONTEXT:-} && -f $kept/context ]]; then CONTEXT=$(<"$kept/context"); fi
}

# choose_last_cluster: like choose_cluster, but without CONTEXT it chooses the cluster that `make run` used last.
choose_last_cluster() {
	take_last_context
	choose_cluster
}
