// What `make stop` leaves in the checkout of the way to a user's own cluster.
import { existsSync } from "node:fs"
import { join } from "node:path"
import { expect, it } from "vitest"
import { checkout } from "./checkout.ts"

it.each([
  { given: "its context", gone: "" },
  { given: "no such context any more, as after `kind delete cluster`", gone: "exit 1" }
])("takes away the copy of the user's kubeconfig, which has credentials, and the way to the server: $given", ({ gone }) => {
  const { folder, program, run, write } = checkout("scripts", "test/cluster/env.bash")
  program("kubectl", `echo "users: [{ name: me, user: { token: secret } }]"`)
  write(".cache/context", "kind-dev\n")
  expect(run("source scripts/place.bash; choose_last_cluster; cat $KUBECONFIG").said).toContain("secret")
  write(".cache/forward", "1 0 8080 kind-dev\n") // of a process that has ended
  program("kubectl", gone)
  const { said, status } = run("scripts/stop")
  expect(status, said).toBe(0)
  expect(["kubeconfig", "context", "forward"].filter((name) => existsSync(join(folder, ".cache", name)))).toEqual([])
})

it("takes that copy away with the embedded cluster too, since that may have been chosen after", () => {
  const { folder, run, write } = checkout("scripts", "test/cluster/env.bash")
  write("test/cluster/down", "#!/bin/sh\necho down\n")
  write(".cache/kubeconfig", "users: []\n")
  expect(run("scripts/stop").said).toBe("down\n")
  expect(existsSync(join(folder, ".cache/kubeconfig"))).toBe(false)
})
