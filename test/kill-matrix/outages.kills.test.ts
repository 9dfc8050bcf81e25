// Outages of more than a minute under an apply on the real node, beyond the grid of the kill matrix: they make the node NotReady, or outlast
// a request. Run with `make kill-matrix`; CELLS="outages" runs them alone.
import { assert, beforeEach, describe } from "vitest"
import { kubectl, release, taskNamespace, taskOf, untilOver, untilTask } from "../end-to-end/cluster.ts"
import { harmless, held, heldApply } from "../end-to-end/configurations.ts"
import { agentJob, it, type Scene } from "../end-to-end/product.ts"
import { resourcesOf, runOf, untilFinal } from "../end-to-end/server.ts"
import { isChosen } from "./cells.ts"
import { killPart } from "./processes.ts"
import { untilReady } from "./ready.ts"
import { cutOff } from "./targets.ts"

beforeEach(untilReady)

const unreachable = "node.kubernetes.io/unreachable"
const nothing = { add: 0, change: 0, destroy: 0 }

/**
 * Starts a run whose apply waits to be released, and returns its id, its apply's task, and the name of that one's Pod. That is ready: of one
 * that has not been, nothing tells that its node is silent.
 */
const startApply = async (scene: Scene) => {
  const { command, id } = await scene.startRun(heldApply, "--auto-approve", "--no-color")
  await command.says(held)
  const { status: { pod: { name: pod } = { name: "" } } } = await taskOf(`${id}-apply`)
  await kubectl(["wait", `pod/${pod}`, "--for=condition=Ready", "--timeout=300s"])
  return { id, task: `${id}-apply`, pod }
}

/** Asserts that the apply was started once and ended in its first Pod, that its state has all of it, and that nothing is left to do. */
const assertEndedOnce = async (scene: Scene, { id, pod, task }: Awaited<ReturnType<typeof startApply>>) => {
  const { failure, status: ended } = await untilFinal(id)
  assert.strictEqual(ended, "applied", failure)
  const { metadata: { uid }, status } = await untilOver(task)
  assert.deepInclude(status, { phase: "Succeeded", reason: "Completed", launches: 1 })
  const pods = await kubectl(["get", "pods", `--selector=scalr.io/task-uid=${uid}`, "--output=name"])
  assert.strictEqual(pods.trim(), `pod/${pod}`)
  assert.deepStrictEqual(await resourcesOf(scene.name), ["terraform_data.first", "terraform_data.second", "terraform_data.third"])
  const { report: { run } } = await scene.run(heldApply, "--plan-only")
  assert.deepStrictEqual(run.changes ?? nothing, nothing, run.failure)
}

describe.runIf(isChosen("outages", process.env.CELLS))("an apply", () => {
  it("whose node does not answer says so, keeps its workspace from the next task, and ends once when the kubelet is back", async ({ scene }) => {
    const apply = await startApply(scene)
    const restart = killPart("kubelet")
    try {
      await untilTask(apply.task, "its node does not answer", ({ status }) => status.reason === "NodeUnreachable")
      // A node controller that loses all its nodes takes itself for cut off and evicts nobody. Here is one node, and the taint is as of many.
      await kubectl(["taint", "nodes", "--all", `${unreachable}:NoExecute`, "--overwrite"])
      // Without a toleration of its own a Pod has one of 300 s, after which it is evicted.
      const tolerated = `jsonpath={range .spec.tolerations[?(@.key=="${unreachable}")]}{.effect} for {.tolerationSeconds}{end}`
      assert.strictEqual(await kubectl(["get", "pod", apply.pod, `--output=${tolerated}`]), "NoExecute for ")

      const next = await scene.task({ stage: "apply", source: harmless })
      const { status } = await untilTask(next, "waits for the workspace", ({ status }) => status.queue !== undefined)
      assert.deepInclude(status.queue, { reason: "WorkspaceBusy", blockedBy: apply.task })
      assert.strictEqual((await agentJob("cancel", next)).code, 0)
      assert.strictEqual((await untilOver(next)).status.phase, "Cancelled")
      assert.strictEqual((await taskOf(apply.task)).status.reason, "NodeUnreachable")
    } finally {
      restart()
    }
    await untilTask(apply.task, "its node answers again", ({ status }) => status.phase === "Running" && status.reason === "Claimed")
    await untilReady()
    await release(apply.id)
    await assertEndedOnce(scene, apply)
  })

  it("whose Pod has no network for over a minute makes all of it meanwhile, and saves its state when the network is back", async ({ scene }) => {
    const apply = await startApply(scene)
    const log = scene.start("kubectl", "--namespace", taskNamespace, "logs", apply.pod, "--container=worker", "--follow")
    const cut = await cutOff(apply.pod, 70)
    const back = cut().then(() => "the network is back")
    await release(apply.id) // as the log, this does not need the Pod's network
    const made = log.says("terraform_data.third: Creation complete").then(() => "all is made")
    assert.strictEqual(await Promise.race([back, made]), "all is made")
    assert.isFalse((await runOf(apply.id)).final)
    await back
    await assertEndedOnce(scene, apply)
  })
})
