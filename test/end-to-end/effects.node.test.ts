// An engine or a whole Pod dies in the middle of an apply: what it made is in the state, or the run names it.
// A provisioner of each resource writes into the log that it was made, which tells what was really made.
import { assert, describe } from "vitest"
import { plainText } from "../../src/core/stage/outcome.ts"
import type { RunView } from "../../src/schema/api/run.ts"
import { kubectl, untilTask } from "./cluster.ts"
import { agentJob, type Files, it } from "./product.ts"
import { resourcesOf, stateOf, untilFinal, untilRun } from "./server.ts"

/**
 * The resources are made one after the other, two seconds each, so that some are made before and some after the engine pushes its state,
 * which it does after 20 seconds. The one of index `held` is never finished.
 */
const steps = 24
const staircase = (held = steps): Files => ({
  "main.tf": Array.from({ length: steps }, (_, at) => `
resource "terraform_data" "made${at}" {
  depends_on = [${at === 0 ? "" : `terraform_data.made${at - 1}`}]
  provisioner "local-exec" {
    command = "sleep ${at === held ? 3600 : 2}; echo made \${self.id}"
  }
}
`).join("")
})

/** Returns the id of each resource that was made, by address. */
const really = (log: string): ReadonlyMap<string, string> =>
  new Map(
    [...plainText(log).matchAll(/^(terraform_data\.made\d+) \(local-exec\): made ([0-9a-f-]{36})$/gmu)].map((
      [, address = "", id = ""]
    ) => [address, id])
  )

const idsIn = async (workspace: string): Promise<ReadonlySet<string>> => {
  const state = await stateOf(workspace).catch(() => undefined) // the workspace may have no state yet
  return new Set(
    (state?.resources ?? []).flatMap(({ instances }) => instances).map((instance) =>
      (instance as { attributes: { id: string } }).attributes.id
    )
  )
}

/** Asserts that everything that was made is in the state or named by the run. Returns how many resources the state lacks. */
const assertNothingForgotten = async (workspace: string, run: RunView, log: string): Promise<number> => {
  const [made, saved] = [really(log), await idsIn(workspace)]
  const { unknown = [], unsaved = [] } = run.stages.at(-1)?.effects ?? {}
  const missing = [...made].filter(([, id]) => !saved.has(id))
  for (const [address, id] of missing) {
    const isNamed = unsaved.some((effect) => effect.id === id) || unknown.some((effect) => effect.address === address)
    assert.isTrue(
      isNamed,
      `${address} [id=${id}] is neither in the state nor named; saved: ${saved.size}, named: ${unsaved.length} and ${unknown.length}`
    )
  }
  for (const { id = "" } of unsaved) assert.isFalse(saved.has(id), `${id} is named, though it is in the state`)
  console.log(
    `${made.size} made, ${saved.size} in the state, ${missing.length} would have been forgotten: ${unsaved.length} named with their id, ${unknown.length} with an unknown outcome`
  )
  return missing.length
}

const signalEngine = (signal: string) =>
  `for p in /proc/[0-9]*; do [ "$(cat $p/comm 2>/dev/null)" = tofu ] && kill -${signal} \${p#/proc/}; done; true`
const inRunner = (pod: string, script: string) => kubectl(["exec", pod, "--container=runner", "--", "/bin/sh", "-c", script])

describe.concurrent("an apply that dies", () => {
  it.for([{ made: 2, held: 2, pushed: false }, { made: 13, held: steps, pushed: true }])(
    "forgets nothing when its engine is killed after $made resources",
    async ({ held, made, pushed }, { scene }) => {
      const { command, id } = await scene.startRun(staircase(held), "--auto-approve", "--no-color")
      await command.until(`${made} are made`, ({ text }) => really(text).size >= made ? true : undefined)
      const { status } = await untilTask(`${id}-apply`, "has a Pod", (task) => task.status.pod !== undefined)
      await inRunner(status.pod?.name ?? "", signalEngine("KILL"))
      const { code, stderr, stdout } = await command.ended
      assert.strictEqual(code, 1)
      const run = await untilFinal(id)
      assert.strictEqual((await idsIn(scene.name)).size > 0, pushed)
      assert.isAbove(await assertNothingForgotten(scene.name, run, stdout), 0)
      assert.include(stderr + stdout, "Made, but not in the state:")
      assert.match(run.stages.at(-1)?.result?.message ?? "", /Made, but not in the state: terraform_data\.made\d+ \[id=/u)
      const rescue = await agentJob("state", "rescue", scene.name)
      assert.include(rescue.stdout, "Made, but not in the state:")

      const { runId } = JSON.parse((await agentJob("state", "rescue", scene.name, "--import", "-o", "json")).stdout)
      const planned = await untilRun(runId, "is planned", ({ status }) => status === "planned")
      const unsaved = run.stages.at(-1)?.effects?.unsaved ?? []
      assert.deepStrictEqual(planned.changes, { add: 0, change: 0, destroy: 0, import: unsaved.length })
      assert.strictEqual((await agentJob("approve", runId)).code, 0)
      assert.strictEqual((await untilFinal(runId)).status, "applied")
      const saved = await idsIn(scene.name)
      for (const { id: missing = "" } of unsaved) {
        assert.isTrue(
          saved.has(missing),
          `${missing} is imported`
        )
      }
    }
  )

  it("forgets nothing when its Pod is gone with the worker in it", async ({ scene }) => {
    const { command, id } = await scene.startRun(staircase(6), "--auto-approve", "--no-color")
    await command.until("6 are made", ({ text }) => really(text).size >= 6 ? true : undefined)
    const { status } = await untilTask(`${id}-apply`, "has a Pod", (task) => task.status.pod !== undefined)
    await inRunner(status.pod?.name ?? "", signalEngine("STOP")) // as on a node that is cut off: no interrupt reaches the engine
    await kubectl(["delete", "pod", status.pod?.name ?? "", "--grace-period=1", "--wait=false"])
    const { stderr, stdout } = await command.ended
    const run = await untilFinal(id)
    await assertNothingForgotten(scene.name, run, stdout)
    assert.include(stderr + stdout, "Made, but not in the state:")
    const { unknown = [], unsaved = [], unseen = [] } = run.stages.at(-1)?.effects ?? {}
    const accounted = new Set([
      ...await resourcesOf(scene.name).catch(() => []),
      ...[...unsaved, ...unknown, ...unseen].map(({ address }) => address)
    ])
    assert.strictEqual(accounted.size, steps, "all that was planned is in the state or named")
    assert.strictEqual(unseen.length, steps - 7)
  })
})
