// An upgrade of the whole product, from the commit before the last change of its source, and the way back, while stages are under way.
// Each stage goes on with the worker that it began with, under a controller and a server of the other version. PREVIOUS=COMMIT chooses
// another one to begin with.
import { Schema } from "effect"
import { randomBytes } from "node:crypto"
import { afterAll, assert, beforeAll, describe } from "vitest"
import { StateView } from "../../src/schema/api/state.ts"
import { archiveOf } from "../server/live-server.ts"
import { kubectl, untilOver } from "./cluster.ts"
import { agentJob, type Files, it, type Scene } from "./product.ts"
import { resourcesOf, untilFinal, untilRun } from "./server.ts"
import { begin, install, keepInstallation, makeVersions, noHistory, refusalOf, type Version } from "./versions.ts"
import { startWeb, type Web } from "./web.ts"

const why = noHistory()
if (why !== undefined) console.log(`No upgrade is tested, because there is no earlier commit: ${why}`)

const things = ["one", "two", "three"] as const

/** A plan that waits for its module, and an apply that waits after it has made the second of three things. */
const configuration = (web: Web, key: string): Files => ({
  "main.tf": `
module "held" { source = "${web.held(`${key}-plan`)}?archive=tar.gz" }
output "fetched" { value = module.held.fetched }
${
    things.map((thing, index) => `
resource "terraform_data" "${thing}" {
  input = "${thing}"
  depends_on = [${index === 0 ? "" : `terraform_data.${things[index - 1]}`}]
  provisioner "local-exec" {
    command = "wget -q -O - ${web.made(`${key}-${thing}`)}${thing === "two" ? ` && wget -q -O - ${web.held(`${key}-apply`)}` : ""}"
  }
}
`).join("")
  }`
})

const decodeState = Schema.decodeUnknownSync(Schema.fromJsonString(StateView))
type Stage = "plan" | "apply"

/** Returns the image of each worker that was started for a stage. */
const workersOf = async (id: string, stage: Stage): Promise<ReadonlyArray<string>> => {
  const images = ".items[*].spec.template.spec.containers[?(@.name==\"worker\")].image"
  return (await kubectl(["get", "jobs", `--selector=scalr.io/task=${id}-${stage}`, `--output=jsonpath={${images}}`])).split(" ")
}

/** Waits for the end of a run, and asserts that each of its stages succeeded once, with that worker, and that nothing is left of it. */
const assertApplied = async (id: string, { name }: Scene, web: Web, workers: Readonly<Record<Stage, Version>>): Promise<void> => {
  const run = await untilFinal(id)
  assert.strictEqual(run.status, "applied", run.failure)
  assert.deepStrictEqual(run.stages.map(({ attempt, stage, status }) => ({ stage, attempt, status })), [
    { stage: "plan", attempt: 1, status: "finished" },
    { stage: "apply", attempt: 1, status: "finished" }
  ])
  for (const stage of ["plan", "apply"] as const) {
    const { status: { launches = 1, phase } } = await untilOver(`${id}-${stage}`)
    assert.deepStrictEqual({ phase, launches }, { phase: "Succeeded", launches: 1 })
    assert.deepStrictEqual(await workersOf(id, stage), [workers[stage].image])
  }
  assert.deepStrictEqual(await Promise.all(things.map((thing) => web.count(`${name}-${thing}`))), [1, 1, 1], "each thing is made once")
  assert.deepStrictEqual(await resourcesOf(name), things.map((thing) => `terraform_data.${thing}`).sort())
  const { evidence, lock, pending, version } = decodeState((await agentJob("state", "show", name, "-o", "json")).stdout)
  assert.deepStrictEqual({ evidence, lock, pending, run: version?.runId }, { evidence: [], lock: undefined, pending: [], run: run.id })
}

describe.skipIf(why !== undefined)("a run goes on to its end, and every stage of it succeeds once", () => {
  const folder = `upgrade-${randomBytes(4).toString("hex")}`
  let web: Web
  let earlier: Version
  let present: Version
  let restore = async () => {}
  beforeAll(async () => {
    web = await startWeb({ held: archiveOf({ "main.tf": "output \"fetched\" { value = \"in the plan\" }" }) })
    ;({ earlier, present } = await makeVersions())
    restore = await keepInstallation(folder)
  })
  afterAll(async () => {
    await restore()
    await web.end()
  })

  /** Starts a run whose plan is under way and another whose apply is. */
  const startTwo = async (scene: Scene) => {
    const [planning, applying] = [await scene.another("planning"), await scene.another("applying")]
    await web.release(`${applying.name}-plan`)
    const [plan, apply] = [
      await planning.startRun(configuration(web, planning.name), "--no-color"),
      await applying.startRun(configuration(web, applying.name), "--auto-approve", "--no-color")
    ]
    await Promise.all([web.until("held", `${planning.name}-plan`), web.until("held", `${applying.name}-apply`)])
    return { planning, plan, applying, apply }
  }

  /** Lets both runs go on under other programs than their stages began with, and approves the one that was planning. */
  const finishTwo = async ({ apply, applying, plan, planning }: Awaited<ReturnType<typeof startTwo>>, from: Version, to: Version) => {
    await Promise.all([web.release(`${planning.name}-plan`), web.release(`${planning.name}-apply`), web.release(`${applying.name}-apply`)])
    await untilRun(plan.id, "is planned", ({ status }) => status === "planned")
    const approved = await agentJob("approve", plan.id)
    assert.strictEqual(approved.code, 0, approved.stderr)
    await assertApplied(plan.id, planning, web, { plan: from, apply: to })
    await assertApplied(apply.id, applying, web, { plan: from, apply: from })
    assert.strictEqual((await apply.command.ended).code, 0)
  }

  it("when the product is upgraded meanwhile", async ({ scene }) => {
    await install({ version: earlier, folder })
    const two = await startTwo(scene)
    await install({ version: present, folder })
    await finishTwo(two, earlier, present)
  })

  it("when the earlier product comes back meanwhile, whose server refuses a database that a newer one has changed", async ({ scene }) => {
    await install({ version: present, folder })
    const two = await startTwo(scene)
    const controllerBack = { version: earlier, folder, server: present, keepsCrd: true }
    await install(controllerBack)
    const allBack = { version: earlier, folder, keepsCrd: true }
    if (earlier.schema === present.schema) await install(allBack)
    else {
      await begin(allBack)
      assert.include(
        await refusalOf(earlier),
        `is of a newer version of agent-job (schema ${present.schema}, this one knows ${earlier.schema}); start that version again`
      )
      await install(controllerBack)
    }
    await finishTwo(two, present, earlier)
  })
})
