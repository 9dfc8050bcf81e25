// Runs as a person uses them: plan, approval, apply, changes, destroy, failures and waits, through the CLI and the server on a real node.
import { assert, describe } from "vitest"
import { release, untilOver, untilTask } from "./cluster.ts"
import { failingApply, greeting, harmless, held, heldApply, hushed } from "./configurations.ts"
import { agentJob, it } from "./product.ts"
import { resourcesOf, runOf, stateOf, untilFinal, untilRun } from "./server.ts"

describe.concurrent("a run", () => {
  it("applies the very plan that was approved, prints its outputs and stores the state", async ({ scene }) => {
    const planned = await scene.run(greeting)
    const { id, planSha256 } = planned.report.run
    assert.strictEqual(planned.code, 0)
    assert.strictEqual(planned.report.run.status, "planned")
    assert.deepStrictEqual(planned.report.run.changes, { add: 2, change: 0, destroy: 0 })

    const { stdout: waits } = await agentJob("get", id)
    assert.include(waits, "planned")
    const approved = await agentJob("approve", id)
    assert.strictEqual(approved.code, 0)
    assert.match(
      approved.stdout,
      new RegExp(`^${id} is approved with the seal [0-9a-f]{12} and applies its plan; follow it with: agent-job logs -f ${id}\n$`, "u")
    )
    const followed = await agentJob("logs", "-f", id, "--no-color")
    assert.strictEqual(followed.code, 0)
    assert.include(followed.stdout, "Plan: 2 to add, 0 to change, 0 to destroy.")
    assert.include(followed.stdout, "Apply complete! Resources: 2 added, 0 changed, 0 destroyed.")
    assert.strictEqual((await untilFinal(id)).status, "applied")

    const [plan, apply] = await Promise.all([untilOver(`${id}-plan`), untilOver(`${id}-apply`)])
    assert.isString(plan.status.result?.planDigest)
    assert.strictEqual(apply.spec.plan?.sha256, plan.status.result?.planDigest)
    assert.strictEqual(planSha256, apply.spec.plan?.sha256)
    assert.deepInclude(apply.status, { phase: "Succeeded", reason: "Completed", message: "tofu apply ended with success." })
    assert.deepInclude(apply.status.result, { outcome: "succeeded", exitCode: 0, statePushed: true })

    assert.deepStrictEqual(await resourcesOf(scene.name), ["terraform_data.greeting", "terraform_data.secret"])
    assert.strictEqual((await stateOf(scene.name)).outputs["secret"]?.value, hushed)
  })

  it("says that nothing changes the second time, applies only what changed the third, and destroys", async ({ scene }) => {
    const first = await scene.run(greeting, "--auto-approve")
    assert.strictEqual(first.code, 0)
    assert.strictEqual(first.report.run.status, "applied")
    assert.deepStrictEqual(first.report.outputs, [
      { name: "greeting", sensitive: false, value: "hello" },
      { name: "secret", sensitive: true, value: null }
    ])
    assert.notInclude(first.told + JSON.stringify(first.report), hushed)
    assert.strictEqual(first.report.stateSerial, 1)

    const same = await agentJob("run", await scene.directory(greeting), "--workspace", scene.name, "--auto-approve", "--no-color")
    assert.strictEqual(same.code, 0)
    assert.include(same.stdout, `The plan changes nothing in ${scene.name}.`)
    assert.match(same.stdout, / {2}greeting += "hello"\n {2}secret += \(sensitive\)\n/u)
    assert.notInclude(same.stdout, "Applying")
    assert.notInclude(same.stdout, hushed)
    assert.strictEqual((await stateOf(scene.name)).serial, 1)

    const changed = await scene.run(greeting, "--auto-approve", "--var", "greeting=goodbye")
    assert.deepStrictEqual(changed.report.run.changes, { add: 0, change: 2, destroy: 0 })
    assert.deepInclude(changed.report.outputs?.[0], { name: "greeting", value: "goodbye" })
    assert.include(changed.told, "0 added, 2 changed, 0 destroyed")

    const destroyed = await scene.run(greeting, "--auto-approve", "--destroy")
    assert.strictEqual(destroyed.code, 0)
    assert.deepStrictEqual(destroyed.report.run.stages.map(({ stage }) => stage), ["plan", "destroy"])
    assert.deepStrictEqual(destroyed.report.run.changes, { add: 0, change: 0, destroy: 2 })
    assert.deepStrictEqual((await stateOf(scene.name)).resources, [])
    assert.deepStrictEqual(destroyed.report.outputs, [])
  })

  it("that fails while it applies says why, exits with 1 and keeps the state of what was made before", async ({ scene }) => {
    const { code, report: { run }, told } = await scene.run(failingApply, "--auto-approve")
    assert.strictEqual(code, 1)
    assert.strictEqual(run.status, "errored")
    assert.match(run.failure ?? "", /^tofu apply failed with exit code 1: local-exec provisioner error; the log has the details\.$/u)
    assert.include(told, `error: The apply of ${run.id} failed: tofu apply failed with exit code 1`)
    assert.include(told, "the hook ran")
    assert.deepInclude(run.stages[1]?.result, { outcome: "failed", reason: "ExitCode", exitCode: 1, statePushed: true })
    assert.deepInclude((await untilOver(`${run.id}-apply`)).status, { phase: "Failed", reason: "ExitCode" })
    assert.include(await resourcesOf(scene.name), "terraform_data.first")

    const { stdout } = await agentJob("get", run.id)
    assert.include(stdout, `Failed: ${run.failure}`)
    assert.include((await agentJob("logs", run.id, "--no-color")).stdout, "Error: local-exec provisioner error")
  })

  it("that is discarded changes nothing and frees its workspace", async ({ scene }) => {
    const { report: { run: { id } } } = await scene.run(greeting)
    const discarded = await agentJob("discard", id)
    assert.strictEqual(discarded.stdout, `${id} is discarded; nothing was changed.\n`)
    assert.strictEqual((await runOf(id)).status, "discarded")
    const again = await agentJob("approve", id)
    assert.strictEqual(again.code, 1)
    assert.include(again.stderr, `${id} is discarded already, so there is nothing to approve`)
    const { report } = await scene.run(greeting, "--plan-only")
    assert.strictEqual(report.run.status, "planned_and_finished")
  })

  it("goes on beside one of another workspace", async ({ scene }) => {
    const both = await Promise.all(["a", "b"].map((suffix) => scene.another(suffix)))
    const started = await Promise.all(both.map((one) => one.startRun(heldApply, "--auto-approve", "--no-color")))
    await Promise.all(started.map(({ command }) => command.says(held)))
    assert.deepStrictEqual((await Promise.all(started.map(({ id }) => runOf(id)))).map(({ status }) => status), ["applying", "applying"])
  })

  it("waits for the one before it in its workspace and says so", async ({ scene }) => {
    const first = await scene.startRun(heldApply, "--auto-approve", "--no-color")
    await first.command.says(held)
    const second = await scene.startRun(heldApply, "--auto-approve", "--no-color")
    const queued = await untilRun(second.id, "is queued", ({ queue }) => queue !== undefined)
    assert.strictEqual(queued.status, "pending")
    assert.deepInclude(queued.queue, { position: 1, message: `The run ${first.id} holds the workspace and is applying.` })
    assert.strictEqual(queued.queue?.blockedBy, first.id)
    assert.include((await agentJob("get", second.id)).stdout, `Waits: The run ${first.id} holds the workspace and is applying.`)
    await second.command.says(`The run ${first.id} holds the workspace and is applying`)
    await release(first.id)
    assert.strictEqual((await first.command.ended).code, 0)
    const { code, stdout } = await second.command.ended
    assert.strictEqual(code, 0)
    assert.include(stdout, `The plan changes nothing in ${scene.name}.`)
    const [done, after] = await Promise.all([runOf(first.id), runOf(second.id)])
    const [applied = "", planning = ""] = [done.timestamps["applied"], after.timestamps["planning"]]
    assert.isTrue("" < applied && applied <= planning)
  })
})

describe.concurrent("an apply of an AgentTask", () => {
  it("is queued behind the one that has its workspace, with the reason, and starts when that is over", async ({ scene }) => {
    const nowhere = { nodeSelector: { "agent-job.test/nowhere": "true" } }
    const first = await scene.task({ stage: "apply", source: harmless, jobTemplate: nowhere }, "first")
    await untilTask(first, "has its Job", ({ status }) => status.phase === "Starting")
    const second = await scene.task({ stage: "apply", source: harmless }, "second")
    const { status } = await untilTask(second, "is queued", ({ status }) => status.phase === "Queued")
    assert.deepInclude(status, {
      reason: "WorkspaceBusy",
      message: `Waiting for ${first}, which goes before it in workspace ${scene.name}.`
    })
    assert.deepStrictEqual(status.queue, { position: 1, reason: "WorkspaceBusy", blockedBy: first })
    assert.isUndefined(status.job)

    const plan = await untilOver(await scene.task({ stage: "plan", source: harmless }, "plan"))
    assert.strictEqual(plan.status.phase, "Succeeded", "plans exclude nobody")

    await agentJob("cancel", first)
    const { status: { claim, queue, reason } } = await untilOver(second)
    assert.strictEqual(claim?.epoch, 2)
    assert.isUndefined(queue)
    assert.strictEqual(reason, "InvalidConfiguration", "it was started, and then found to have no place for its state")
  })
})
