// What `make stop` leaves in the checkout of the way to a user's own cluster.
import { existsSync } from "node:fs"
import { join } from "node:path"
import { expect, it } from "vitest"
import { checkout } from "./checkout.ts"

it("takes away the copy of the user's kubeconfig, which has credentials", () => {
  const { folder, program, run, write } = checkout("scripts", "test/cluster/env.bash")
  program("kubectl", `echo "users: [{ name: me, user: { token: secret } }]"`)
  write(".cache/context", "kind-dev\n")
  expect(run("source scripts/place.bash; choose_last_cluster; cat $KUBECONFIG").said).toContain("secret")
  expect(run("scripts/stop").status).toBe(0)
  expect(["kubeconfig", "context"].filter((name) => existsSync(join(folder, ".cache", name)))).toEqual([])
})
