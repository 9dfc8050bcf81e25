// Parts of the product vanish in the middle of a run: the run ends all the same, each stage runs once, and nothing is lost.
// The tests run one after the other, because each takes the product away from all.
import { readFileSync } from "node:fs"
import { afterAll, assert, beforeEach, describe } from "vitest"
import { kubectl, productNamespace, release, untilOver, untilTask } from "./cluster.ts"
import { held, heldApply, slowApply, slowly } from "./configurations.ts"
import { run } from "./process.ts"
import { it } from "./product.ts"
import { resourcesOf, runOf, stateOf, untilRun } from "./server.ts"

const inProduct = (...args: ReadonlyArray<string>) => kubectl(["--namespace", productNamespace, ...args])
const controller = "deployment/agent-job-controller"
const server = "statefulset/agent-job-server"

const untilReady = async () => {
  await inProduct("rollout", "status", controller, "--timeout=300s")
  await inProduct("rollout", "status", server, "--timeout=300s")
}
const scale = (replicas: number) => inProduct("scale", controller, `--replicas=${replicas}`)

/** Returns the command by which docs/state.md saves a state that nothing but this Pod has, without the file that it goes to. */
const savingFrom = (pod: string): string => {
  const [, command = ""] = /^ +(kubectl .* exec POD -c worker .*) >errored\.tfstate$/mu.exec(readFileSync("docs/state.md", "utf8")) ?? []
  return command.replace("POD", pod)
}

beforeEach(untilReady)
afterAll(async () => {
  await scale(1)
  await inProduct("scale", server, "--replicas=1")
  await untilReady()
})

const all = ["terraform_data.first", "terraform_data.third", "time_sleep.second"]

/** Asserts that every stage of the run had one Job and one Pod. */
const assertOnce = async (id: string) => {
  for (const stage of ["plan", "apply"]) {
    const { metadata: { uid }, status } = await untilOver(`${id}-${stage}`)
    assert.strictEqual(status.launches, 1)
    assert.deepInclude(status, { phase: "Succeeded", reason: "Completed" })
    const made = (await kubectl(["get", "jobs,pods", `--selector=scalr.io/task-uid=${uid}`, "--output=name"])).trim().split("\n")
    assert.strictEqual(made.length, 2, made.join())
  }
}

describe("a run", () => {
  it("goes on to its end when the controller is killed while it plans", async ({ scene }) => {
    const { command, id } = await scene.startRun(slowApply(1), "--auto-approve", "--no-color")
    await command.says("Engine: tofu")
    await inProduct("delete", "pod", "--selector=app.kubernetes.io/component=controller", "--grace-period=1", "--wait=false")
    const { code, stdout } = await command.ended
    assert.strictEqual(code, 0)
    assert.include(stdout, "Apply complete! Resources: 3 added, 0 changed, 0 destroyed.")
    await assertOnce(id)
    assert.deepStrictEqual(await resourcesOf(scene.name), all)
  })

  it("is applied and reported while there is no controller at all", async ({ scene }) => {
    const { command, id } = await scene.startRun(slowApply(5), "--auto-approve", "--no-color")
    await command.says(slowly)
    await scale(0)
    const { code, stdout } = await command.ended
    assert.strictEqual(code, 0)
    assert.include(stdout, "Apply complete! Resources: 3 added, 0 changed, 0 destroyed.")
    assert.notInclude(stdout, "Interrupt")
    assert.deepStrictEqual(await resourcesOf(scene.name), all)
    assert.isString((await untilOver(`${id}-apply`)).status.reportedAt)
    const waits = await scene.startRun(slowApply(1), "--no-color")
    await untilRun(waits.id, "waits for an agent", ({ queue }) => queue !== undefined)
    await scale(1)
    assert.strictEqual((await waits.command.ended).code, 0)
    await assertOnce(id)
  })

  it("is applied undisturbed while another controller takes the place of the one that started it", async ({ scene }) => {
    const { command, id } = await scene.startRun(heldApply, "--auto-approve", "--no-color")
    await command.says(held)
    await inProduct("rollout", "restart", controller)
    await untilReady()
    await release(id)
    const { code, stdout } = await command.ended
    assert.strictEqual(code, 0)
    assert.include(stdout, "Apply complete! Resources: 3 added, 0 changed, 0 destroyed.")
    assert.notInclude(stdout, "Interrupt")
    await assertOnce(id)
  })

  it("is waited out by its worker when the server goes away while it applies; state, log and result arrive", async ({ scene }) => {
    const { command, id } = await scene.startRun(slowApply(6), "--auto-approve", "--no-color")
    await command.says(slowly)
    await inProduct("delete", "pod", "agent-job-server-0", "--grace-period=1", "--wait=false")
    const { code, stderr, stdout } = await command.ended
    assert.strictEqual(code, 0, stderr)
    assert.strictEqual(stdout.split("Apply complete! Resources: 3 added, 0 changed, 0 destroyed.").length - 1, 1)
    assert.deepStrictEqual(await resourcesOf(scene.name), all)
    const run = await runOf(id)
    assert.strictEqual(run.status, "applied")
    assert.deepInclude(run.stages[1]?.result, { outcome: "succeeded", statePushed: true })
    await assertOnce(id)
  })

  it("has its state in the Pod while the server is away, where the command of docs/state.md finds it whole", async ({ scene }) => {
    const { command, id } = await scene.startRun(slowApply(6), "--auto-approve", "--no-color")
    await command.says(slowly)
    await inProduct("scale", server, "--replicas=0")
    const { status: { pod } } = await untilTask(
      `${id}-apply`,
      "says that its state is unsaved",
      ({ status }) => status.reason === "StateUnsaved"
    )
    const saved = await run("bash", ["-c", savingFrom(pod?.name ?? "")])
    assert.strictEqual(saved.code, 0, saved.stderr)
    await inProduct("scale", server, "--replicas=1")
    assert.strictEqual((await command.ended).code, 0)
    const { serial } = await stateOf(scene.name)
    assert.deepInclude(JSON.parse(saved.stdout), { serial })
    await assertOnce(id)
  })
})
