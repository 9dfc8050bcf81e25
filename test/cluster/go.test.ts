// When a program is built from our Go modules again, with a Go of the test.
import { expect, it } from "vitest"
import { checkout } from "../scripts/checkout.ts"

/** A Go of this version, which gets the one in the folder `toolchain` where it is too old, and makes an empty program. */
const goOf = (version: string) =>
  `case "$*" in
*GOVERSION) echo go${version} ;;
mod*) printf '\\t"Dir": "%s",\\n' "$HOME/toolchain" ;;
build*) while [[ $1 != -o ]]; do shift; done; echo ${version} >"$2/tool" ;;
*) pwd ;;
esac`

it("builds a program once, and again for a newer Go; what 1.26.8 built before stamps named a Go stays", () => {
  const { program, run, write } = checkout("test/cluster/env.bash", "test/cluster/go.bash")
  write("modules/tool/go.mod", "module tool\n")
  write("modules/tool/go.sum", "")
  program("go", goOf("1.26.9"))
  const { said, status } = run(`
    source test/cluster/env.bash && modules=$PWD/modules && source test/cluster/go.bash
    count=0 total=4
    { cat modules/tool/go.mod; printf '%s\\n' "-s -w " tool; } | sha256sum >"$bin/.old"
    build old tool "" tool
    build tool tool "" tool
    build tool tool "" tool
    go_version=1.26.9
    build tool tool "" tool`)
  expect(status, said).toBe(0)
  expect(said.match(/\] (?:have|built) \w+/gu)).toEqual(["] have old", "] built tool", "] have tool", "] built tool"])
})

it("builds with the Go that the stamp tells of, although an older one of the same release is there", () => {
  const { program, run, write } = checkout("test/cluster/env.bash", "test/cluster/go.bash")
  for (const name of ["go.mod", "go.sum"]) write(`modules/tool/${name}`, "")
  program("go", goOf("1.26.8"))
  write("toolchain/bin/go", `#!/bin/bash\n${goOf("1.26.9")}\n`)
  write("toolchain/pkg/tool/linux/compile", "")
  const { said, status } = run(`
    source test/cluster/env.bash && modules=$PWD/modules && source test/cluster/go.bash
    count=0 total=1 go_version=1.26.9
    build tool tool "" tool && cat "$bin/tool"`)
  expect(status, said).toBe(0)
  expect(said).toMatch(/^1\.26\.9$/mu)
})
