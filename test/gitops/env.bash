# Shared by the scripts here: the embedded cluster's places, and where the programs of GitOps are. Sourced, not run.
# shellcheck shell=bash disable=SC2034 # those who source it use the variables
source "$(dirname "${BASH_SOURCE[0]}")/../cluster/env.bash"

gitops=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
: "${GITOPS_CACHE:=${XDG_CACHE_HOME:-$HOME/.cache}/agent-job-gitops}" # programs and CRDs, kept
bin=$GITOPS_CACHE/bin
PATH=$bin:$PATH
