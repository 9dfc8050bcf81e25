// What `make test` prepares before its tests, with programs of the test in place of those that it calls.
import { expect, it } from "vitest"
import { checkout } from "./checkout.ts"

it.each([
  { given: "a cluster of the user", CONTEXT: "kind-dev", calls: ["scripts/cluster", "test/cluster/build kustomize tofu provider-time"] },
  {
    given: "the embedded one, with which they come",
    CONTEXT: "",
    calls: ["test/cluster/up --check", "scripts/cluster", "test/cluster/up --control-plane"]
  }
])("has the programs that tests run on this machine: $given", ({ CONTEXT, calls }) => {
  const { program, run, write } = checkout("scripts", "test/cluster/env.bash")
  for (const silent of ["scripts/packages", "test/cluster/status", "test/cluster/down"]) write(silent, "#!/bin/sh\n")
  for (const told of ["scripts/cluster", "test/cluster/build", "test/cluster/up"]) write(told, `#!/bin/sh\necho ${told} $* >>calls\n`)
  for (const name of ["kubectl", "node"]) program(name, "")
  program("vitest", "cat calls")
  const { said, status } = run("scripts/test cluster", { CONTEXT })
  expect(status, said).toBe(0)
  expect(said.split("\n").filter((line) => /^(?:scripts|test)\//u.test(line))).toEqual(calls)
})
