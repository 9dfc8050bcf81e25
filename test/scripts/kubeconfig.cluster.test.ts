// What the scripts do with the kubeconfig of whoever gives CONTEXT, by the real `kubectl config`: they read it.
import { execFileSync } from "node:child_process"
import { readFileSync } from "node:fs"
import { join } from "node:path"
import { expect, it } from "vitest"
import { checkout } from "./checkout.ts"

const kubeconfig = `apiVersion: v1
kind: Config
current-context: production
clusters:
- { name: production, cluster: { server: "https://127.0.0.1:1" } }
- { name: dev, cluster: { server: "https://127.0.0.1:2" } }
users: [{ name: me, user: { token: secret } }]
contexts:
- { name: production, context: { cluster: production, user: me } }
- { name: dev, context: { cluster: dev, user: me } }
`
const kubectl = execFileSync("bash", ["-c", "type -P kubectl"], { encoding: "utf8" }).trim()

it.each([{ given: "in the home directory", path: ".kube/config" }, { given: "that KUBECONFIG names", path: "mine.yaml" }])(
  "never write to a kubeconfig $given, and so leave its current context",
  ({ path }) => {
    const { folder, program, run, write } = checkout("scripts", "test/cluster/env.bash")
    write(path, kubeconfig)
    for (const name of ["agent-job", "agent-job-runner"]) write(`.cache/${name}.image`, `${name}:1\n`)
    program(
      "kubectl",
      `[[ " $* " != *" config "* ]] || exec ${kubectl} "$@"\n[[ "$*" != *deployments,statefulsets* ]] || echo deployment.apps/a`
    )
    const { said, status } = run(
      `set -e
      source scripts/place.bash; choose_cluster; kubectl config current-context
      scripts/cluster; scripts/install; scripts/stop`,
      { CONTEXT: "dev", ...(path === "mine.yaml" && { KUBECONFIG: join(folder, path) }) }
    )
    expect(status, said).toBe(0)
    expect(said).toMatch(/^dev\n/u) // in the copy that all of them use
    expect(readFileSync(join(folder, path), "utf8")).toBe(kubeconfig)
  }
)
