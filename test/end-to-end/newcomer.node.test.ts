// Types what `make env` gives a newcomer: the server, the cluster and the tools.
import { fileURLToPath } from "node:url"
import { assert, describe, it } from "vitest"
import { run } from "./process.ts"

const root = fileURLToPath(new URL("../..", import.meta.url))

/** Runs commands in a shell that has evaluated `make -s env`, and has none of the settings of these tests. */
const typed = (commands: string) =>
  run("bash", [
    "-euo",
    "pipefail",
    "-c",
    `cd '${root}'; unset AGENT_JOB_URL AGENT_JOB_TOKEN KUBECONFIG; eval "$(make -s env)"; ${commands}`
  ])

describe.concurrent("a newcomer", () => {
  it("reaches the server and the cluster with what `make env` prints", async () => {
    const { code, stderr, stdout } = await typed(
      "agent-job get runs >/dev/null; kubectl get atasks --all-namespaces --output=name >/dev/null; tofu version; kustomize version >/dev/null; printf '%s\\n' \"$AGENT_JOB_URL\""
    )
    assert.strictEqual(code, 0, stderr)
    assert.match(stdout, /^OpenTofu v/mu)
    assert.include(stdout, process.env["AGENT_JOB_URL"] ?? "nothing")
  })
})
