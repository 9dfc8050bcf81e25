# Builds programs from our Go modules, with a Go that is new enough, and only once from the same sources. Sourced, not run.
# shellcheck shell=bash disable=SC2154 # env.bash sets the variables, and who sources this says how many programs there are

go_version=1.26.8 # what to get where Go is older, or missing
modules=${modules:-$here}
flags=(-trimpath -buildvcs=false)
export CGO_ENABLED=0

# version_of MODULE PATH: prints the version of PATH that our MODULE's go.mod requires.
version_of() { awk -v path="$2" '$1 == path && $2 ~ /^v/ { print $2 } $1 == "require" && $2 == path { print $3 }' "$modules/$1/go.mod"; }

# is_new_enough GO: is this that Go, or a newer one?
is_new_enough() { [[ $(printf '%s\n' "go$go_version" "$(GOTOOLCHAIN=local "$1" env GOVERSION 2>/dev/null)" | sort -V | head -n 1) == "go$go_version" ]]; }

# need_go: finds a Go that is new enough. An older Go, such as Debian's, can download one as a module from the Go module proxy, and checks
# it against Go's checksum database.
need_go() {
	local toolchain architecture
	if is_new_enough go; then return; fi
	command -v go >/dev/null || install_debian "or a Go of at least $go_version" golang-go
	architecture=$(go env GOHOSTARCH)
	say "get Go $go_version, since $(go version | cut -d' ' -f3) is too old ..."
	toolchain=$(cd / && GOTOOLCHAIN=local GOFLAGS=-modcacherw GO111MODULE=on \
		go mod download -json "golang.org/toolchain@v0.0.1-go$go_version.linux-$architecture" | sed -n 's/^\t"Dir": "\(.*\)",*$/\1/p') || true
	[[ -n $toolchain ]] || status=2 fail "building the programs needs Go $go_version or later; please install it from https://go.dev/dl and put it first in PATH"
	chmod +x "$toolchain"/bin/* "$toolchain"/pkg/tool/*/* # a module's files come without that
	PATH=$toolchain/bin:$PATH
	unset GOROOT
	is_new_enough go || fail "the Go in $toolchain does not run here; please install Go $go_version or later from https://go.dev/dl"
}

# build NAME MODULE LDFLAGS PACKAGE...: builds packages of a module, unless they were built from the same sources and flags for the same Go.
build() {
	local name=$1 module=$modules/$2 ldflags="-s -w $3" new=$bin/.new-$1 started=$SECONDS stamp with=()
	shift 3
	# A newer Go mends what is compiled into every program. A stamp that names no Go is of 1.26.8, and stays valid.
	[[ $go_version == 1.26.8 ]] || with=("$go_version")
	stamp=$(cd "$module" && { cat go.mod go.sum && cat "$1"/*.go 2>/dev/null; printf '%s\n' "$ldflags" "$@" "${with[@]}"; } | sha256sum)
	if [[ -f $bin/.$name && $(<"$bin/.$name") == "$stamp" ]]; then
		say "[$((count += 1))/$total] have $name"
		return
	fi
	need_go
	need_space "$(go env GOCACHE)" 4 "Go's build cache"
	need_space "$bin" 2 "building $name"
	say "[$count/$total] build $name ..."
	rm -rf "$new" && mkdir -p "$new"
	(cd "$module" && go build "${flags[@]}" -ldflags "$ldflags" -o "$new/" "$@")
	case $name in # go names a program by the last part of its package's path
	etcd) mv "$new/server" "$new/etcd" ;;
	argocd) mv "$new/cmd" "$new/argocd" ;;
	tofu-*) mv "$new/tofu" "$new/$name" ;;
	esac
	mv -f "$new"/* "$bin/" && rmdir "$new"
	printf '%s\n' "$stamp" >"$bin/.$name"
	say "[$((count += 1))/$total] built $name in $((SECONDS - started)) s"
}
