import { describe, expect, it } from "@effect/vitest"
import { Effect } from "effect"
import { accountsApart } from "../../../src/cli/values/own-accounts.ts"
import { configOf } from "../../core/configs.ts"
import { ran } from "../typed.ts"

/** The second of two identities has this name. */
const config = (name: string, values: object = {}, task: object = {}) =>
  configOf({
    ...values,
    task: { identities: ["apart", name].map((name) => ({ name, workspaces: [`${name}-*`], create: false })), ...task }
  }, { name: "prod", namespace: "prod" })

describe("an identity", () => {
  it.effect.each([
    { whose: "the controller's account", of: config("prod") },
    { whose: "the controller's account by another name", of: config("prod-blue", { nameOverride: "blue" }) },
    { whose: "the server's account", of: config("agent-job-server") }
  ])("is refused as $whose in its namespace", ({ of }) =>
    Effect.gen(function*() {
      const { message } = yield* Effect.flip(accountsApart(of))
      expect(message).toMatch(
        /^The values cannot be used: task\.identities\[1\]\.name: "[-a-z]+" is the account of the controller or the server in namespace prod, .+\.$/u
      )
    }))

  it.effect.each([
    { whose: "an account of its own", of: config("network") },
    { whose: "an account of that name in a namespace of the tasks", of: config("prod", {}, { namespace: "tasks" }) }
  ])("may be $whose", ({ of }) => accountsApart(of))

  it.live("that is refused has nothing printed", () =>
    Effect.gen(function*() {
      const { code, error, out } = yield* ran(
        {},
        "render",
        "--name",
        "prod",
        "--namespace",
        "prod",
        "--values",
        "test/cli/values/taken-identity.yaml"
      )
      expect([code, out]).toEqual([2, ""])
      expect(error).toContain("task.identities[0].name: \"prod\" is the account")
    }))
})
