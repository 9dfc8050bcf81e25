// What the description of our own APIs says that no random request shows.
import { expect, it } from "@effect/vitest"
import { Schema } from "effect"
import { openApi } from "../../src/server/routes/open-api.ts"

const Described = Schema.Struct({
  components: Schema.Struct({ schemas: Schema.Record(Schema.String, Schema.Unknown) }),
  paths: Schema.Record(
    Schema.String,
    Schema.Record(
      Schema.String,
      Schema.Struct({
        operationId: Schema.String,
        requestBody: Schema.optionalKey(Schema.Unknown),
        responses: Schema.Record(Schema.String, Schema.Unknown)
      })
    )
  )
})
const operations = Object.values(Schema.decodeUnknownSync(Described)(openApi()).paths).flatMap((methods) => Object.values(methods))

it("has the one refusal of its API for every operation, and beside it only the answer of a success", () => {
  const refusalOf = (operationId: string) => /^(?:tfe|links)\./u.test(operationId) ? "Errors" : "Refusal"
  expect(operations.map(({ responses: { default: other, ...own } }) => [other, Object.keys(own).length])).toEqual(
    operations.map(({ operationId }) => [{ $ref: `#/components/responses/${refusalOf(operationId)}` }, 1])
  )
})

it("has names for what clients show, and one form of each", () => {
  const { components } = Schema.decodeUnknownSync(Described)(openApi())
  const names = Object.keys(components.schemas)
  expect(names).toEqual(expect.arrayContaining(["RunView", "StateView", "ToldResult", "LeftOver", "LockInfo", "Problem"]))
  expect(names.filter((name) => /\d$/u.test(name))).toEqual([])
})

it("has the lock in the request that opens one, though its method is DELETE", () => {
  expect(operations.find(({ operationId }) => operationId === "state.unlockWorkspaceState")?.requestBody).toMatchObject({
    content: { "application/json": { schema: { $ref: "#/components/schemas/LockInfo" } } }
  })
})

it("lets a plan be approved without a body, as stock clients do", () => {
  expect(operations.find(({ operationId }) => operationId === "tfe.applyRun")?.requestBody).toMatchObject({ required: false })
})

it("says of what a request may have beyond the TFE API that it is ours", () => {
  const { components: { schemas } } = Schema.decodeUnknownSync(Described)(openApi())
  const ours = expect.objectContaining({ description: expect.stringMatching(/^Ours, not in the TFE API: /u) })
  const maybe = { anyOf: [ours, { type: "null" }] }
  expect(schemas.ApplyRun).toMatchObject({ properties: { seal: maybe } })
  const variables = { anyOf: [{ items: { properties: { declared: ours } } }, { type: "null" }] }
  const attributes = { properties: { "may-ask": maybe, engine: maybe, variables } }
  expect(schemas.CreateRun).toMatchObject({ properties: { data: { properties: { attributes } } } })
})

it("closes no object, to which a newer version may add", () => {
  expect(JSON.stringify(openApi())).not.toContain("\"additionalProperties\":false")
})
