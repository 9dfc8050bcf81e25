// Runs of a stock tofu with a cloud block, which knows nothing of agent-job: their stages run on the node, as those of the CLI do.
import { mkdtemp, rm } from "node:fs/promises"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { afterAll, assert, beforeAll, describe } from "vitest"
import { plainText } from "../../src/core/stage/outcome.ts"
import { untilOver } from "./cluster.ts"
import { greeting, held, heldApply, hushed } from "./configurations.ts"
import { type Files, it, type Scene } from "./product.ts"
import { required, resourcesOf, runsOf, stateOf, untilFinal } from "./server.ts"
import { StockClient } from "./stock-client.ts"

let folder = ""
let client: StockClient
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), "agent-job-e2e-"))
  client = await StockClient.of(folder, required("AGENT_JOB_URL"), required("AGENT_JOB_TOKEN"))
})
afterAll(async () => {
  await client?.end()
  await rm(folder, { recursive: true, force: true })
})

/** Returns how to run tofu in a directory with these files, which has been initialized. */
const initialized = async (scene: Scene, files: Files) => {
  const directory = await scene.directory({ ...files, "cloud.tf": client.cloud(scene.name) })
  const tofu = (...args: ReadonlyArray<string>) => scene.command("tofu", [`-chdir=${directory}`, ...args, "-no-color"], client.env)
  assert.strictEqual((await tofu("init").ended).code, 0)
  return tofu
}

describe.concurrent("a stock tofu", () => {
  it("plans, applies what was approved at its prompt, reads outputs, finds nothing to change, and destroys", async ({ scene }) => {
    const tofu = await initialized(scene, greeting)

    const apply = tofu("apply")
    await apply.says("Enter a value:")
    assert.include(plainText(apply.text), "Plan: 2 to add, 0 to change, 0 to destroy.")
    assert.deepStrictEqual((await runsOf(scene.name)).map(({ status }) => status), ["planned"])
    apply.type("yes\n")
    const applied = await apply.ended
    assert.strictEqual(applied.code, 0, apply.text)
    assert.include(plainText(applied.stdout), "Apply complete! Resources: 2 added, 0 changed, 0 destroyed.")
    assert.notInclude(apply.text, hushed)
    const [run] = await runsOf(scene.name)
    assert.strictEqual(run?.status, "applied")
    const [plan, task] = await Promise.all([untilOver(`${run?.id}-plan`), untilOver(`${run?.id}-apply`)])
    assert.strictEqual(task.spec.plan?.sha256, plan.status.result?.planDigest)
    assert.deepStrictEqual(await resourcesOf(scene.name), ["terraform_data.greeting", "terraform_data.secret"])

    assert.strictEqual((await tofu("output", "-raw", "greeting").ended).stdout, "hello")
    const same = await tofu("plan").ended
    assert.strictEqual(same.code, 0)
    assert.include(plainText(same.stdout), "No changes.")
    const destroyed = await tofu("destroy", "-auto-approve").ended
    assert.strictEqual(destroyed.code, 0)
    assert.include(plainText(destroyed.stdout), "Apply complete! Resources: 0 added, 0 changed, 2 destroyed.")
    assert.deepStrictEqual((await stateOf(scene.name)).resources, [])
  })

  it("whose plan is refused at its prompt discards it, and changes nothing", async ({ scene }) => {
    const tofu = await initialized(scene, greeting)
    const apply = tofu("apply")
    await apply.says("Enter a value:")
    apply.type("no\n")
    assert.strictEqual((await apply.ended).code, 1)
    assert.deepStrictEqual((await runsOf(scene.name)).map(({ stages, status }) => [status, stages.length]), [["discarded", 1]])
  })

  it("that is interrupted while it applies cancels the run, whose state is kept", async ({ scene }) => {
    const tofu = await initialized(scene, heldApply)
    const apply = tofu("apply", "-auto-approve")
    await apply.says(held)
    apply.signal("SIGINT")
    const { code, stdout } = await apply.ended
    assert.strictEqual(code, 0)
    assert.include(stdout, "The remote operation was successfully cancelled.")
    const [run] = await runsOf(scene.name)
    assert.strictEqual((await untilFinal(run?.id ?? "")).status, "canceled")
    assert.notInclude(await resourcesOf(scene.name), "terraform_data.third")
    assert.include(await resourcesOf(scene.name), "terraform_data.first")
  })
})
