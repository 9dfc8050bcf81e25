// What is read of an offer: everything that this version knows, and in words what it does not understand, for people who wait for the run.
import { describe, expect, it } from "@effect/vitest"
import { Schema } from "effect"
import { NotUnderstood, readOffer } from "../../../src/core/task/offer.ts"
import { Assignment } from "../../../src/schema/api/pool-api.ts"
import { programVersion } from "../../../src/schema/program-version.ts"

const plain = {
  id: "run-1.plan.1",
  runId: "run-1",
  workspace: "demo",
  stage: "plan",
  attempt: 1,
  archiveSha256: "b".repeat(64),
  taskToken: "the-token"
}

describe("an offered assignment", () => {
  it.prop("is read as it is, with every option that is known", [Assignment], ([assignment]) => {
    const offered: unknown = JSON.parse(JSON.stringify(assignment))
    expect(readOffer(offered)).toEqual(Schema.decodeUnknownSync(Assignment)(offered))
  })

  it("is read without what a newer server says beside it", () =>
    expect(readOffer({ ...plain, offeredBy: "a newer server" })).toEqual(readOffer(plain)))

  it.each([
    { given: "an engine", newer: { engine: { name: "terragrunt" } }, unknown: "\"terragrunt\" at engine.name" },
    { given: "a stage", newer: { id: "run-1.refresh.1", stage: "refresh" }, unknown: "\"refresh\" at stage" },
    { given: "an option", newer: { options: { refresh: false, excludes: ["a.b"] } }, unknown: "options.excludes" },
    { given: "a way to choose the engine", newer: { engine: { name: "tofu", mirror: "local" } }, unknown: "engine.mirror" },
    { given: "more of an option", newer: { options: { targets: Array(65).fill("a.b") } }, unknown: "options.targets" },
    { given: "a token", newer: { taskToken: "secret".repeat(200) }, unknown: "taskToken" },
    { given: "no token", newer: { taskToken: undefined }, unknown: "taskToken" }
  ])("is named by its id and what is not understood, when a newer server gives $given", ({ newer, unknown }) => {
    const offered = { ...plain, ...newer }
    const offer = readOffer(offered)
    expect(offer).toBeInstanceOf(NotUnderstood)
    expect(offer).toMatchObject({
      id: offered.id,
      message:
        `The controller, of agent-job ${programVersion}, does not understand ${unknown}, so it cannot run the stage; upgrade it to the version of the server.`
    })
  })

  it.each([
    { given: "no assignment", offered: null, unknown: "what is offered" },
    { given: "a list", offered: [plain], unknown: "what is offered" },
    { given: "without an id", offered: { ...plain, id: undefined }, unknown: "id" },
    ...["../run-1", "../run-1.refresh.1", "run-1.refresh.1/2"].map((id) => ({
      given: `with an id that is no stage's: ${id}`,
      offered: { ...plain, id, stage: "refresh" },
      unknown: "\"refresh\" at stage"
    }))
  ])("has no name when it is $given", ({ offered, unknown }) => {
    const offer = readOffer(offered)
    expect(offer).toMatchObject({ id: undefined, message: expect.stringContaining(` does not understand ${unknown}, `) })
  })

  it.each([{ stage: "x\n".repeat(5000) }, { options: { ["x\n".repeat(5000)]: true } }])(
    "has of a word or a key that is long only its beginning in the sentence",
    (newer) => expect(readOffer({ ...plain, ...newer })).toMatchObject({ message: expect.stringMatching(/^[^\n]{1,300}$/u) })
  )
})
