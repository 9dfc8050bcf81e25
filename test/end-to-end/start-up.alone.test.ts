// Pods that do not start, or do not last: the status explains the wait in the kubelet's words, and the end with a reason and what to do.
// While this file runs, the controller has other values: a short startup timeout, no more time for a node than that, small volumes and little memory.
import { afterAll, assert, beforeAll, describe, vi } from "vitest"
import { kubectl, untilOver, untilTask } from "./cluster.ts"
import { harmless, scripted } from "./configurations.ts"
import { it } from "./product.ts"
import { required, resourcesOf, untilFinal } from "./server.ts"
import { changeValues } from "./values.ts"

vi.setConfig({ maxConcurrency: 10 }) // the tests mostly wait

const startupTimeoutSeconds = 45
let restore = async () => {}
beforeAll(async () => {
  restore = await changeValues({
    persistence: { emptyDir: { sizeLimit: "64Mi" } },
    task: {
      startupTimeoutSeconds,
      job: { activeDeadlineSeconds: 3600 },
      runner: { resources: { limits: { memory: "400Mi" }, requests: { cpu: "50m", memory: "64Mi" } } }
    }
  })
})
afterAll(() => restore())

describe.concurrent("an AgentTask whose Pod", () => {
  it("waits for an image says which, and ends as ImagePull", async ({ scene }) => {
    const name = await scene.task({ stage: "plan", source: harmless, jobTemplate: { runner: { image: "registry.invalid/none:1" } } })
    const { status: { message } } = await untilTask(
      name,
      "cannot get its image yet",
      ({ status }) => status.phase === "Starting" && status.reason === "ImagePull"
    )
    assert.match(
      message ?? "",
      /^Container runner cannot get its image yet; check its name, tag and pull secrets: .*registry\.invalid\/none:1/u
    )
    const { status } = await untilOver(name)
    assert.deepInclude(status, { phase: "Failed", reason: "ImagePull" })
    assert.match(
      status.message ?? "",
      /^Container runner cannot get its image yet; check its name, tag and pull secrets: .*registry\.invalid\/none:1.* Nothing was run\.$/su
    )
    assert.isUndefined(status.claim)
  })

  it("refers to a Secret that is not there says so, and ends as InvalidConfiguration", async ({ scene }) => {
    const variables = [{ name: "password", valueFrom: { secretKeyRef: { name: `${scene.name}-none`, key: "password" } } }]
    const name = await scene.task({ stage: "plan", source: harmless, variables })
    const { status: { message } } = await untilTask(
      name,
      "waits for the Secret",
      ({ status }) => status.phase === "Starting" && status.reason === "InvalidConfiguration"
    )
    assert.strictEqual(
      message,
      `Container worker cannot be created: secret "${scene.name}-none" not found; make it in the tasks' namespace`
    )
    const { status } = await untilOver(name)
    assert.deepInclude(status, { phase: "Failed", reason: "InvalidConfiguration", message: `${message}. Nothing was run.` })
  })

  it("has its configuration in a ConfigMap that is not there says so, and ends as InvalidConfiguration", async ({ scene }) => {
    const name = await scene.task({ stage: "plan", source: { configMap: { name: `${scene.name}-none` } } })
    const { status: { message } } = await untilTask(
      name,
      "waits for the ConfigMap",
      ({ status }) => status.phase === "Starting" && status.reason === "InvalidConfiguration"
    )
    assert.include(message, `configmap "${scene.name}-none" not found; make it in the tasks' namespace`)
    const { status } = await untilOver(name)
    assert.deepInclude(status, { phase: "Failed", reason: "InvalidConfiguration" })
  })

  it("has a runner without a shell says so, and ends as InvalidConfiguration", async ({ scene }) => {
    const name = await scene.task({ stage: "plan", source: harmless, jobTemplate: { runner: { image: required("AGENT_JOB_IMAGE") } } })
    const { status } = await untilOver(name)
    assert.deepInclude(status, { phase: "Failed", reason: "InvalidConfiguration" })
    assert.match(status.message ?? "", /^Container runner cannot start; the image needs \/bin\/sh: .* Nothing was run\.$/su)
  })

  it("fits on no node says why, and ends as StartupTimeout", async ({ scene }) => {
    const name = await scene.task({ stage: "plan", source: harmless, jobTemplate: { nodeSelector: { "agent-job.test/nowhere": "true" } } })
    const { status: { message } } = await untilTask(name, "waits for a node", ({ status }) => status.reason === "Unschedulable")
    assert.match(message ?? "", /^No node can take the Pod: .*didn't match Pod's node affinity\/selector/u)
    const { metadata, status } = await untilOver(name)
    assert.deepInclude(status, { phase: "Failed", reason: "StartupTimeout" })
    assert.include(status.message, "didn't match Pod's node affinity/selector")
    await kubectl(["wait", "--for=delete", "jobs,pods", `--selector=scalr.io/task-uid=${metadata.uid}`, "--timeout=300s"])
  })

  it("fills its volume is Evicted; the run says so, and keeps its state", async ({ scene }) => {
    const { code, report: { run }, told } = await scene.run({
      "main.tf": `
resource "terraform_data" "first" { input = "made" }
resource "terraform_data" "large" {
  depends_on = [terraform_data.first]
  provisioner "local-exec" {
    command = "dd if=/dev/zero of=large bs=1M count=200 2>&1 && sleep 120"
  }
}
`
    }, "--auto-approve")
    assert.strictEqual(code, 1)
    const result = run.stages[1]?.result
    assert.deepInclude(result, { outcome: "failed", reason: "Evicted", statePushed: true }, run.failure)
    assert.strictEqual(
      run.failure,
      "The Pod had to leave its node during tofu apply, which was interrupted; what it had made is in the state. If the Pod's events name a limit of its disk, raise that one, most often persistence.emptyDir.sizeLimit."
    )
    assert.include(told, run.failure ?? "")
    assert.include(await resourcesOf(scene.name), "terraform_data.first")
  })
})

describe.concurrent("an apply that comes near to the memory of its runner", () => {
  /** Feeds `tail` 200 MB at once, and then a megabyte every 40 ms, all of which it keeps in memory. */
  const slowly = "i=0; while [ $i -lt 400 ]; do head -c 1000000 /dev/zero; sleep 0.04; i=$((i+1)); done"
  const greedy = `(head -c 200000000 /dev/zero; ${slowly}) | tail -c 600000000 >/dev/null`

  it("is interrupted once, keeps its state and says OutOfMemory", async ({ scene }) => {
    const { command, id } = await scene.startRun(
      {
        "main.tf": `
resource "terraform_data" "first" { input = "made" }
resource "terraform_data" "greedy" {
  depends_on = [terraform_data.first]
  provisioner "local-exec" { command = ${JSON.stringify(greedy)} }
}
`
      },
      "--auto-approve",
      "--no-color"
    )
    const { code, stdout } = await command.ended
    assert.strictEqual(code, 1)
    assert.strictEqual(stdout.split("Interrupt received.").length - 1, 1, stdout)
    const message =
      "The runner came to 80 % of its memory limit during tofu apply, which was interrupted; what it had made is in the state. To go further, raise task.runner.resources.limits.memory."
    assert.deepInclude((await untilFinal(id)).stages[1]?.result, { outcome: "failed", reason: "OutOfMemory", message, statePushed: true })
    assert.include(await resourcesOf(scene.name), "terraform_data.first")
  })

  it("by a flood of processes that heed no signal is killed at its limit, and its worker reports that", async ({ scene }) => {
    // The loop's look at the memory stands still: it may come before the kernel. One dd after the other takes less than the engine, which so
    // dies first, and soon, since only one of them asks for more.
    const freeze = "for file in $(grep -l '[e]xec-loop' /proc/[0-9]*/cmdline); do kill -STOP \"$(echo \"$file\" | cut -d / -f 3)\"; done"
    const one = "setsid dd if=/dev/zero bs=5M count=1 | (head -c 1; : >taken; exec sleep 900) & : <taken"
    const flood = `exec >/dev/null 2>&1\n${freeze}\ntrap '' TERM INT HUP\nmkfifo taken\nfor n in $(seq 100); do ${one}; done; wait\n`
    const { code, report: { run } } = await scene.run(scripted(flood), "--auto-approve")
    assert.strictEqual(code, 1)
    assert.deepInclude(run.stages[1]?.result, { outcome: "failed", reason: "OutOfMemory" }, run.failure)
    assert.match(run.failure ?? "", /^tofu apply was killed, most likely because it used more memory than its limit;/u)
  })
})
