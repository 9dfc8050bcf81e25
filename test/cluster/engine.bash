# The program that builds container images: $CONTAINER_ENGINE, else buildah, podman or docker, the first that works here. Sourced, not run.
# Root's buildah and podman keep what they build in a folder of ours, not among the user's images.
# shellcheck shell=bash disable=SC2154 # env.bash sets the variables

export BUILDAH_ISOLATION=chroot STORAGE_DRIVER=overlay # no user or network namespace of its own: not all sandboxes let it

# choose_engine ENGINE...: sets $engine to the first of them that is there and works.
choose_engine() {
	local candidate
	for candidate in ${CONTAINER_ENGINE:-"$@"}; do
		case $candidate in
		docker) docker info ;;
		buildah | podman) "$candidate" --version ;;
		*) fail "no container engine '$candidate': docker, podman and buildah are known" ;;
		esac >/dev/null 2>&1 || continue
		engine=$candidate
		return
	done
	status=2 fail "none of ${CONTAINER_ENGINE:-$*} works here to build images; install one of them, or start docker's daemon"
}

engine_run() {
	local storage=()
	[[ $engine == docker ]] || ((EUID)) || storage=(--root "$CLUSTER_CACHE/$engine" --runroot "$CLUSTER_CACHE/$engine/run")
	"$engine" "${storage[@]}" "$@"
}

# engine_images: prints the engine's images, one on each line, like localhost/name:tag.
engine_images() {
	local name=Repository
	[[ $engine != buildah ]] || name=Name
	engine_run images --format "{{.$name}}:{{.Tag}}"
}

# engine_id TAG: prints what the image with this tag is now.
engine_id() {
	local field=Id
	[[ $engine != buildah ]] || field=FromImageID
	engine_run inspect --type image --format "{{.$field}}" "$1"
}

engine_has() { engine_run inspect --type image "$1" >/dev/null 2>&1; }

# engine_build TAG CONTAINERFILE CONTEXT [NAME=VALUE...]: the pairs are build arguments.
engine_build() {
	local tag=$1 containerfile=$2 context=$3 options=()
	shift 3
	[[ $engine == docker ]] || options=(--pull=missing --layers=false --timestamp=0)
	engine_run build --quiet "${options[@]}" "${@/#/--build-arg=}" -t "$tag" -f "$containerfile" "$context" >/dev/null
}

# engine_save TAG ARCHIVE
engine_save() {
	rm -f "$2.new"
	case $engine in
	docker) docker save -o "$2.new" "$1" ;;
	*) engine_run push --quiet "$1" "docker-archive:$2.new:$1" >/dev/null ;; # "save" would put localhost/ before the name
	esac
	mv "$2.new" "$2"
}

engine_load() { # engine_load ARCHIVE
	case $engine in
	buildah) engine_run pull --quiet "docker-archive:$1" ;;
	*) engine_run load --quiet -i "$1" ;;
	esac >/dev/null
}
