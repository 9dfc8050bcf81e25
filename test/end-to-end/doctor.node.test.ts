// What the doctor finds in the installation of the overlay `standalone`, with real Pods on a node whose network enforces its policies.
import { assert } from "vitest"
import { kubectl } from "./cluster.ts"
import { diagnose } from "./doctor.ts"
import { it } from "./product.ts"

it("the doctor proves that the network holds to its policies and what they close, says what is open, and leaves nothing behind", async () => {
  const { code, found, stderr } = await diagnose()
  assert.strictEqual(code, 0, stderr)
  assert.strictEqual(found["network policies are enforced"], "ok: of two identical Pods, the one that a policy isolates reaches nothing")
  assert.deepInclude(found, {
    "metadata services are closed to tasks": "ok: no metadata service answered, a policy closes them, and policies are enforced",
    "tasks are closed to other Pods":
      "ok: no other Pod of its namespace connects to one like a task's, no policy lets others in, and policies are enforced"
  })
  assert.match(found["other Pods are closed to tasks"] ?? "", /^warning: a task's Pod reaches any other Pod;/u)
  assert.match(found["tasks reach what they need"] ?? "", /^ok: the API server, by its name, and .* of agent\.url$/u)
  await kubectl(["wait", "--for=delete", "pods,networkpolicies", "--selector=scalr.io/doctor", "--timeout=300s"])
})
