// Stages that are stopped on a real node by the server's cancel, by Ctrl-C or by kubectl. In each case the state is kept.
import { afterAll, assert, beforeAll, describe } from "vitest"
import { kubectl, podWithLog, taskOf, tryKubectl, untilOver, untilTask } from "./cluster.ts"
import { slowApply, slowly } from "./configurations.ts"
import { agentJob, it, type Scene } from "./product.ts"
import { resourcesOf, untilFinal } from "./server.ts"
import { startWeb, type Web } from "./web.ts"

let web: Web
beforeAll(async () => {
  web = await startWeb()
})
afterAll(() => web.end())

/** A configuration whose plan waits for a module until the stage is stopped. */
const endlessPlan = () => ({ "main.tf": `module "never" { source = "${web.never}" }` })

/** Starts a run and waits until it is in the middle of its apply. */
const applying = async (scene: Scene) => {
  const started = await scene.startRun(slowApply(120), "--auto-approve", "--no-color")
  await started.command.says(slowly)
  return started
}

/** Asserts that the engine was interrupted once, because a second interrupt makes it quit without saving the state. */
const assertOneInterrupt = (log: string) => {
  assert.strictEqual(log.split("Interrupt received.").length - 1, 1, log)
  assert.notInclude(log, "Two interrupts received")
}

/** Deletes the Pod of an apply, which has `seconds` or its own time to end, and asserts that all is in order and told as it is. */
const evicted = async (scene: Scene, seconds?: number) => {
  const { command, id } = await applying(scene)
  const pod = (await taskOf(`${id}-apply`)).status.pod?.name ?? ""
  const own = Number(await kubectl(["get", "pod", pod, "--output=jsonpath={.spec.terminationGracePeriodSeconds}"]))
  assert.isBelow(seconds ?? 0, own / 2, "the worker plans with more than it gets")
  await kubectl(["delete", "pod", pod, "--wait=false", ...seconds === undefined ? [] : [`--grace-period=${seconds}`]])
  const { code, stdout } = await command.ended
  assert.strictEqual(code, 1)
  assertOneInterrupt(stdout)
  const message =
    "The Pod had to leave its node during tofu apply, which was interrupted; what it had made is in the state. If the Pod's events name a limit of its disk, raise that one, most often persistence.emptyDir.sizeLimit."
  assert.deepInclude((await untilFinal(id)).stages[1]?.result, { outcome: "failed", reason: "Evicted", message, statePushed: true })
  const { status } = await untilOver(`${id}-apply`)
  assert.deepInclude(status, { phase: "Failed", reason: "Evicted", message, launches: 1 })
  assert.include(await resourcesOf(scene.name), "terraform_data.first")
}

describe.concurrent("a cancel", () => {
  it("while it applies interrupts the engine once, keeps the state and ends with exit code 6", async ({ scene }) => {
    const { command, id } = await applying(scene)
    const asked = await agentJob("cancel", id)
    assert.strictEqual(asked.code, 0)
    assert.strictEqual(asked.stdout, `${id} is asked to stop; see how it ends with: agent-job get ${id}\n`)
    const { code, stderr, stdout } = await command.ended
    assert.strictEqual(code, 6)
    assert.include(stderr, `error: ${id} was cancelled.`)
    assertOneInterrupt(stdout)
    const run = await untilFinal(id)
    assert.strictEqual(run.status, "canceled")
    assert.deepInclude(run.stages[1]?.result, {
      outcome: "cancelled",
      reason: "Cancelled",
      message: "The stage was cancelled during tofu apply, which was interrupted; what it had made is in the state.",
      statePushed: true
    })
    assert.deepInclude((await untilOver(`${id}-apply`)).status, { phase: "Cancelled", reason: "Cancelled" })
    const resources = await resourcesOf(scene.name)
    assert.include(resources, "terraform_data.first")
    assert.notInclude(resources, "terraform_data.third")
  })

  it("by Ctrl-C is waited for, and says how it ended", async ({ scene }) => {
    const { command, id } = await applying(scene)
    command.signal("SIGINT")
    await command.says(`Cancelling ${id}; it ends once its state is safe. Ctrl-C again leaves it to the server.`)
    const { code, stdout } = await command.ended
    assert.strictEqual(code, 6)
    assert.include(stdout, `${id} was cancelled.`)
    assertOneInterrupt(stdout)
    assert.include(await resourcesOf(scene.name), "terraform_data.first")
  })

  it("while it plans ends the run without having changed anything", async ({ scene }) => {
    const { command, id } = await scene.startRun(endlessPlan(), "--auto-approve", "--no-color")
    await command.says("Downloading http://")
    assert.strictEqual((await agentJob("cancel", id)).code, 0)
    const { code, stderr } = await command.ended
    assert.strictEqual(code, 6)
    assert.include(stderr, `error: ${id} was cancelled.`)
    const run = await untilFinal(id)
    assert.strictEqual(run.status, "canceled")
    assert.deepInclude(run.stages[0]?.result, {
      outcome: "cancelled",
      reason: "Cancelled",
      message: "The stage was cancelled during tofu init; nothing was changed."
    })
    assert.strictEqual(run.stages.length, 1)
    const again = await agentJob("cancel", id)
    assert.deepInclude(again, { code: 1, stderr: `error: ${id} is canceled already; there is nothing to cancel.\n` })
  })

  it("before its Pod has started never starts it", async ({ scene }) => {
    const name = await scene.task({
      stage: "plan",
      source: { inline: { "main.tf": "" } },
      jobTemplate: { nodeSelector: { "agent-job.test/nowhere": "true" } }
    })
    await untilTask(name, "waits for a node", ({ status }) => status.reason === "Unschedulable")
    const asked = await agentJob("cancel", name)
    assert.strictEqual(asked.code, 0)
    assert.strictEqual(
      asked.stdout,
      `AgentTask ${name} is asked to stop; see how it ends with: agent-job get ${name} --namespace agent-job-tasks\n`
    )
    const { metadata, status } = await untilOver(name)
    assert.deepInclude(status, { phase: "Cancelled", reason: "Cancelled", message: "Cancelled before it started; nothing was run." })
    assert.isUndefined(status.claim)
    await kubectl(["wait", "--for=delete", "jobs,pods", `--selector=scalr.io/task-uid=${metadata.uid}`, "--timeout=300s"])
    const again = await agentJob("cancel", name)
    assert.strictEqual(again.code, 1)
    assert.include(again.stderr, `error: AgentTask ${name} is Cancelled already; there is nothing to cancel.`)
  })

  it("of a task with kubectl alone stops its stage in order", async ({ scene }) => {
    const name = await scene.task({ stage: "plan", source: { inline: endlessPlan() } })
    const running = await untilTask(name, "runs", ({ status }) => status.phase === "Running")
    const log = scene.start(
      "kubectl",
      "--namespace",
      running.metadata.namespace,
      "logs",
      "--follow",
      await podWithLog(running),
      "--container=worker"
    )
    await log.says("Downloading http://")
    await kubectl(["patch", "atask", name, "--type=merge", "--patch", "{\"spec\":{\"cancel\":true}}"])
    const { status } = await untilOver(name)
    assert.deepInclude(status, {
      phase: "Cancelled",
      reason: "Cancelled",
      message: "The stage was cancelled during tofu init; nothing was changed."
    })
    const back = await tryKubectl(["patch", "atask", name, "--type=merge", "--patch", "{\"spec\":{\"cancel\":false}}"])
    assert.strictEqual(back.code, 1)
    assert.include(back.stderr, "a cancel cannot be taken back")
  })
})

describe.concurrent("a stage", () => {
  it("that runs longer than it may is stopped as DeadlineExceeded", async ({ scene }) => {
    const { status } = await untilOver(await scene.task({ stage: "plan", timeoutSeconds: 40, source: { inline: endlessPlan() } }))
    assert.deepInclude(status, {
      phase: "Failed",
      reason: "DeadlineExceeded",
      message: "The stage ran longer than timeoutSeconds during tofu init; nothing was changed."
    })
  })

  it("whose Pod is deleted while it applies is interrupted once, keeps its state and fails as Evicted", ({ scene }) => evicted(scene))

  it("whose Pod gets less time than its own, as on a node that shuts down, is interrupted once, keeps its state and fails as Evicted", ({ scene }) =>
    evicted(scene, 30))
})

describe.concurrent("an AgentTask that is deleted with kubectl", () => {
  it("while it applies for a run ends in order, tells the run, and goes away", async ({ scene }) => {
    const { command, id } = await applying(scene)
    const name = `${id}-apply`
    const { status: { pod } } = await taskOf(name)
    await kubectl(["delete", "atask", name, "--timeout=300s"])
    const { code, stdout } = await command.ended
    assert.strictEqual(code, 6)
    assertOneInterrupt(stdout)
    const run = await untilFinal(id)
    assert.strictEqual(run.status, "canceled")
    assert.deepInclude(run.stages[1]?.result, { reason: "Cancelled", statePushed: true })
    assert.include(await resourcesOf(scene.name), "terraform_data.first")
    await kubectl(["wait", "--for=delete", `pod/${pod?.name}`, "--timeout=300s"])
  })

  it("without a pool takes its Job and Pod along", async ({ scene }) => {
    const name = await scene.task({ stage: "plan", source: { inline: endlessPlan() } })
    const { metadata, status: { job, pod } } = await untilTask(name, "runs", ({ status }) => status.phase === "Running")
    await kubectl(["delete", "atask", name, "--timeout=300s"])
    await kubectl(["wait", "--for=delete", `job/${job?.name}`, `pod/${pod?.name}`, "--timeout=300s"])
    assert.strictEqual(await kubectl(["get", "jobs,pods", `--selector=scalr.io/task-uid=${metadata.uid}`, "--output=name"]), "")
  })
})
