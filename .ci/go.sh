# Sourced by what builds programs of Go that tests run.

# A compiler that collects its garbage seldom does the same in four fifths of the time (measured).
export GOGC=400
# The Go that is installed, and no C compiler: what is built depends on what is pinned alone.
export GOTOOLCHAIN=local CGO_ENABLED=0

# Neither optimized nor with words for a debugger: what answers small questions builds in less than two
# thirds of the time. Who builds with the same words shares the standard library, too.
unoptimized="-N -l -dwarf=false -c=1"
quick=(-trimpath -buildvcs=false "-gcflags=all=$unoptimized" "-ldflags=-s -w")

# once WHO WHAT CACHE NAME MAKE: print CACHE/NAME; if it is not there, call MAKE in an empty directory, where it
# makes NAME. Two builds at once wait for each other; one that is cut off leaves nothing that looks finished.
once() {
  local who=$1 what=$2 cache=$3 name=$4 make=$5
  if [[ ! -e $cache/$name ]]; then
    if ! command -v go >/dev/null; then
      echo "$who: there is no Go here; install Go 1.26 or newer, then try again" >&2
      exit 69 # EX_UNAVAILABLE
    fi
    mkdir -p "$cache"
    exec 9>"$cache/lock"
    # Without flock (macOS) two builds at once are only slower: the rename below stays atomic.
    if command -v flock >/dev/null; then
      flock 9
      rm -rf "$cache"/work.* # of a build that was killed
    fi
    [[ -e $cache/$name ]] || make_in "$(mktemp -d "$cache/work.XXXXXX")"
  fi
  echo "$cache/$name"
}

# For `once` alone.
make_in() {
  local work=$1
  # shellcheck disable=SC2064 # it is known now, and not when it ends
  trap "rm -rf '$work'" EXIT
  echo "$who: building $what, once, in some minutes" >&2
  (cd "$work" && "$make") >"$work/build.log" 2>&1 || {
    tail -30 "$work/build.log" >&2
    echo "$who: the build failed, see above" >&2
    exit 1
  }
  mv "$work/$name" "$cache/$name"
}
