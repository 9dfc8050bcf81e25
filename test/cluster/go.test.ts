// When a program is built from our Go modules again, with a Go of the test.
import { expect, it } from "vitest"
import { checkout } from "../scripts/checkout.ts"

it("builds a program once, and again for a newer Go; what 1.26.8 built before stamps named a Go stays", () => {
  const { program, run, write } = checkout("test/cluster/env.bash", "test/cluster/go.bash")
  write("modules/tool/go.mod", "module tool\n")
  write("modules/tool/go.sum", "")
  program("go", `case "$*" in *GOVERSION) echo go1.26.9 ;; build*) while [[ $1 != -o ]]; do shift; done; touch "$2/tool" ;; *) pwd ;; esac`)
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
