// What the description of our own APIs says that no random request shows.
import { expect, it } from "@effect/vitest"
import { Schema } from "effect"
import { openApi } from "../../src/server/routes/open-api.ts"

const Described = Schema.Struct({
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

it("has the refusal of headers that are too large, which comes before any route, for every operation", () => {
  expect(operations.filter(({ responses }) => !("431" in responses)).map(({ operationId }) => operationId)).toEqual([])
})

it("has the lock in the request that opens one, though its method is DELETE", () => {
  expect(operations.find(({ operationId }) => operationId === "state.unlockWorkspaceState")?.requestBody).toMatchObject({
    content: { "application/json": { schema: { required: ["ID"] } } }
  })
})

it("closes no object, to which a newer version may add", () => {
  expect(JSON.stringify(openApi())).not.toContain("\"additionalProperties\":false")
})
