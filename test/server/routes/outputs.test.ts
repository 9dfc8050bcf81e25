// The outputs of a workspace as a state that has nothing else, which `data "terraform_remote_state"` of another configuration reads.
import { expect, it } from "@effect/vitest"
import { Effect } from "effect"
import { ask, readToken, server, userToken } from "../live-server.ts"

const outputs = { id: { value: "net-1", type: "string" }, secret: { value: "hush", type: "string", sensitive: true } }

it.live("outputs are read by themselves, those that are sensitive by a token without a role alone", () =>
  Effect.gen(function*() {
    const state = `${yield* server}/api/state/v1/workspaces/network`
    const read = (token: string) => ask(`${state}/outputs`, token)
    expect((yield* read(readToken)).status).toBe(404)
    yield* ask(state, userToken, "PUT", { ID: "a" })
    expect((yield* read(readToken)).status).toBe(404)
    yield* ask(`${state}?ID=a`, userToken, "POST", { version: 4, serial: 7, lineage: "l", outputs, resources: [{ name: "a" }] })
    const nothingElse = { version: 4, serial: 7, lineage: "l", resources: [] }
    expect((yield* read(userToken)).json).toEqual({ ...nothingElse, outputs })
    expect((yield* read(readToken)).json).toEqual({ ...nothingElse, outputs: { id: outputs.id } })
  }))

it.live("an address of outputs is none of a backend, which would take them for the whole state", () =>
  Effect.gen(function*() {
    const address = `${yield* server}/api/state/v1/workspaces/network/outputs`
    for (const method of ["POST", "PUT", "DELETE", "LOCK"]) {
      expect([method, (yield* ask(address, userToken, method, { ID: "a" })).status]).toEqual([method, 404])
    }
  }))
