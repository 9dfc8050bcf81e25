// A drain of the node, and a drain of the cluster, on a real node with a real engine.
// The tests run one after the other, because each takes the node or the controller from all.
import { Schema } from "effect"
import { afterAll, assert, beforeAll, describe } from "vitest"
import { kubectl, ownNode, productNamespace, release, taskNamespace, taskOf, untilOver, untilTask } from "./cluster.ts"
import { harmless, held, heldApply, heldBack, heldDestroy } from "./configurations.ts"
import { agentJob, it } from "./product.ts"
import { untilRun } from "./server.ts"
import { startWeb, type Web } from "./web.ts"

const Pods = Schema.Struct({
  items: Schema.Array(
    Schema.Struct({
      metadata: Schema.Struct({ name: Schema.String }),
      spec: Schema.Struct({ nodeName: Schema.optionalKey(Schema.String) })
    })
  )
})
const decodePods = Schema.decodeUnknownSync(Schema.fromJsonString(Pods))

let web: Web
let node = ""
beforeAll(async () => {
  web = await startWeb()
  node = await kubectl(["get", "nodes", "--output=jsonpath={.items[0].metadata.name}"])
})
afterAll(async () => {
  await kubectl(["uncordon", node])
  await agentJob("drain", "--undo")
  await web.end()
})

const onlyTasks = "--pod-selector=app.kubernetes.io/component=task"
const evictionOf = (name: string) => JSON.stringify({ apiVersion: "policy/v1", kind: "Eviction", metadata: { name } })

/** Returns the names of the tasks' Pods that are still on the node. */
const tasksOnNode = async () =>
  decodePods(
    await kubectl(["get", "pods", "--selector=app.kubernetes.io/component=task", `--field-selector=spec.nodeName=${node}`, "--output=json"])
  ).items.map(({ metadata }) => metadata.name)

describe.runIf(ownNode)("kubectl drain", () => {
  it("takes a plan, which is planned again, and waits for an apply and a destroy, which succeed; then the node has no task", async ({ scene }) => {
    const [planning, removing] = await Promise.all([scene.another("plan"), scene.another("destroy")])
    const startPlan = async () => {
      const plan = await planning.startRun({ "main.tf": `module "never" { source = "${web.never}" }` }, "--auto-approve", "--no-color")
      await plan.command.says("Downloading http://")
      return plan
    }
    const startApply = async () => {
      const apply = await scene.startRun(heldApply, "--auto-approve", "--no-color")
      await apply.command.says(held)
      return apply
    }
    const startDestroy = async () => {
      assert.strictEqual((await removing.run(heldDestroy, "--auto-approve")).code, 0)
      const destroy = await removing.startRun(heldDestroy, "--auto-approve", "--destroy", "--no-color")
      await destroy.command.says(heldBack)
      return destroy
    }
    const [plan, apply, destroy] = await Promise.all([startPlan(), startApply(), startDestroy()])
    const changes = [`${apply.id}-apply`, `${destroy.id}-destroy`]
    const podsOf = async () => (await Promise.all(changes.map((task) => taskOf(task)))).map(({ status }) => status.pod)
    const pods = await podsOf()

    const drain = scene.start("kubectl", "drain", node, onlyTasks, "--ignore-daemonsets", "--delete-emptydir-data", "--timeout=150s")
    for (const pod of pods) {
      await drain.says(
        `error when evicting pods/"${pod?.name}" -n "${taskNamespace}" (will retry after 5s): Cannot evict pod as it would violate`
      )
    }
    const again = await untilRun(plan.id, "is planned again", ({ stages }) => stages.length === 2)
    assert.deepInclude(again.stages[0]?.result, {
      outcome: "failed",
      reason: "Evicted",
      message:
        "The Pod had to leave its node during tofu init; nothing was changed. If the Pod's events name a limit of its disk, raise that one, most often persistence.emptyDir.sizeLimit."
    })
    assert.deepInclude(again.stages[1], { stage: "plan", attempt: 2 })

    await Promise.all([release(apply.id), release(destroy.id, "destroy")])
    const [applied, destroyed] = await Promise.all([apply.command.ended, destroy.command.ended])
    assert.deepStrictEqual([applied.code, destroyed.code], [0, 0])
    assert.include(applied.stdout, "Apply complete! Resources: 3 added, 0 changed, 0 destroyed.")
    assert.include(destroyed.stdout, "Apply complete! Resources: 0 added, 0 changed, 1 destroyed.")
    assert.notInclude(applied.stdout + destroyed.stdout, "Interrupt")
    await Promise.all(changes.map((task) => untilOver(task)))
    assert.deepStrictEqual(await podsOf(), pods)
    const drained = await drain.ended
    assert.strictEqual(drained.code, 0, drained.stderr)
    assert.deepStrictEqual(await tasksOnNode(), [])

    await kubectl(["uncordon", node])
    await plan.command.until("the second attempt plans", ({ stdout }) => stdout.split("Downloading http://").length > 2 ? true : undefined)
    assert.include(plan.command.stdout, "[Evicted: planned again, attempt 2]")
    assert.strictEqual((await agentJob("cancel", plan.id)).code, 0)
    assert.strictEqual((await plan.command.ended).code, 6)
  })

  it("that meets an apply before its claim has it launched again", async ({ scene }) => {
    const name = await scene.task({ stage: "apply", source: harmless, jobTemplate: { runner: { image: "registry.invalid/none:1" } } })
    const { metadata: { uid } } = await untilTask(name, "cannot get its image yet", ({ status }) => status.reason === "ImagePull")
    const first = (await kubectl(["get", "pods", `--selector=scalr.io/task-uid=${uid}`, "--output=name"])).trim().replace("pod/", "")
    await kubectl(["create", "--raw", `/api/v1/namespaces/agent-job-tasks/pods/${first}/eviction`, "--filename=-"], evictionOf(first))
    const { status } = await untilTask(name, "is launched again", ({ status }) => status.launches === 2)
    assert.isUndefined(status.claim)
    assert.strictEqual((await agentJob("cancel", name)).code, 0)
    assert.strictEqual((await untilOver(name)).status.phase, "Cancelled")
  })
})

describe.runIf(ownNode)("agent-job drain", () => {
  it("waits for the apply that runs, lets nothing start meanwhile, and is ended by --undo", async ({ scene }) => {
    const { command, id } = await scene.startRun(heldApply, "--auto-approve", "--no-color")
    await command.says(held)
    const drain = scene.agentJob("drain", "--wait")
    await drain.says(`Waiting for ${id}-apply`)
    const name = await scene.task({ workspace: `${scene.name}-other`, stage: "plan", source: harmless })
    const { status } = await untilTask(name, "is held back", ({ status }) => status.phase === "Queued")
    assert.deepInclude(status, {
      reason: "Draining",
      message: "Nothing new starts while the cluster is draining; to end that: agent-job drain --undo"
    })
    assert.include((await agentJob("get", "tasks")).stdout, "Draining")

    await release(id)
    const { code, stdout } = await drain.ended
    assert.strictEqual(code, 0)
    assert.match(stdout, /^Draining agent-job in agent-job since .*: nothing new starts in agent-job-tasks\.\n/u)
    assert.strictEqual((await command.ended).code, 0)
    await kubectl(["--namespace", productNamespace, "rollout", "restart", "deployment/agent-job-controller"])
    await kubectl(["--namespace", productNamespace, "rollout", "status", "deployment/agent-job-controller", "--timeout=300s"])
    assert.strictEqual((await taskOf(name)).status.reason, "Draining")
    assert.strictEqual((await agentJob("drain", "--undo")).code, 0)
    assert.strictEqual((await untilOver(name)).status.phase, "Succeeded")
  })
})
